"""Liveness and readiness."""

from conformance.checks import Failed, Group, expect
from conformance.sources import kserve_api, kserve_client, rest
from conformance.target import Target
from conformance.wire import Reply

GROUP = Group("http")
BOOLEAN = kserve_api(
    "The HTTP response status code indicates a boolean result for the health request. "
    "A 200 status code indicates true and a 4xx status code indicates false."
)
BODY = kserve_client("InferenceRESTClient.is_server_live and is_server_ready parse the body as JSON")


def _true(reply: Reply, *names: str) -> None:
    document = reply.document()
    expect(any(document.get(name) is True for name in names), f"none of {names} is true in {document}")


@GROUP.must("health.live", "a server that runs is live", kserve_api("GET v2/health/live"))
def _(target: Target) -> None:
    expect(target.get("/v2/health/live").status == 200, "the server is not live")


@GROUP.must("health.ready", "a server with a loaded model is ready", kserve_api("GET v2/health/ready"))
def _(target: Target) -> None:
    expect(target.get("/v2/health/ready").status == 200, "the server is not ready")


@GROUP.must(
    "health.model-ready",
    "the model is ready",
    kserve_api("GET v2/models/${MODEL_NAME}[/versions/${MODEL_VERSION}]/ready"),
)
def _(target: Target) -> None:
    expect(target.get(f"{target.model_path}/ready").status == 200, "the model is not ready")


@GROUP.must(
    "health.model-ready-version",
    "the model is ready when asked for by version",
    rest("GET v2/models/<model_name>[/versions/<model_version>]/ready"),
)
def _(target: Target) -> None:
    reply = target.get(f"{target.version_path}/ready")
    expect(reply.status == 200, f"status {reply.status}")


@GROUP.must("health.unknown-model", "a model that does not exist is not ready", BOOLEAN)
def _(target: Target) -> None:
    status = target.get("/v2/models/no-such-model/ready").status
    expect(400 <= status < 500, f"status {status}")


@GROUP.must("health.unknown-version", "a version that does not exist is not ready", BOOLEAN)
def _(target: Target) -> None:
    _ = target.version
    status = target.get(f"{target.model_path}/versions/no-such-version/ready").status
    expect(400 <= status < 500, f"status {status}")


@GROUP.should("health.live-body", "liveness has a JSON body that says true", BODY)
def _(target: Target) -> None:
    _true(target.get("/v2/health/live"), "live")


@GROUP.should("health.ready-body", "readiness has a JSON body that says true", BODY)
def _(target: Target) -> None:
    _true(target.get("/v2/health/ready"), "ready", "live")


@GROUP.should(
    "health.model-ready-body",
    "the model's readiness names the model",
    rest('$ready_model_response = { "name" : $string, "ready": $bool }'),
)
def _(target: Target) -> None:
    reply = target.get(f"{target.model_path}/ready")
    _true(reply, "ready")
    if reply.document().get("name") != target.model:
        raise Failed(f"name is {reply.document().get('name')!r}")
