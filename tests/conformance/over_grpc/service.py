"""Health and metadata over gRPC."""

import grpc

from conformance.checks import Group, expect, need
from conformance.over_grpc.calls import Code, client, code, described
from conformance.over_grpc.messages import HEALTH, message
from conformance.sources import GRPC_FAILURE, kserve_client, practice, proto, triton
from conformance.sources import grpc as spec
from conformance.target import Target
from conformance.tensors import DATATYPES

GROUP = Group("grpc")
COMPLIANT = spec(
    "A compliant server must implement the health, metadata, and inference APIs described in this section."
)
PROBES = practice("Kubernetes' gRPC probes call grpc.health.v1.Health/Check")


def _ready(target: Target, **fields: str) -> bool:
    with client(target) as calls:
        return bool(calls.call("ModelReady", message("ModelReadyRequest", **fields)).ready)


@GROUP.must("grpc.server-live", "ServerLive says true", COMPLIANT)
def _(target: Target) -> None:
    with client(target) as calls:
        expect(calls.call("ServerLive", message("ServerLiveRequest")).live, "live is false")


@GROUP.must("grpc.server-ready", "ServerReady says true", COMPLIANT)
def _(target: Target) -> None:
    with client(target) as calls:
        expect(calls.call("ServerReady", message("ServerReadyRequest")).ready, "ready is false")


@GROUP.must("grpc.model-ready", "ModelReady says true", COMPLIANT)
def _(target: Target) -> None:
    expect(_ready(target, name=target.model), "ready is false")


@GROUP.must(
    "grpc.model-ready-version",
    "ModelReady of a version says true",
    proto("The version of the model to check for readiness."),
)
def _(target: Target) -> None:
    expect(_ready(target, name=target.model, version=target.version), "ready is false")


@GROUP.must("grpc.model-ready-unknown", "an unknown model is not ready", GRPC_FAILURE)
def _(target: Target) -> None:
    with client(target) as calls:
        try:
            found = calls.try_call("ModelReady", message("ModelReadyRequest", name="no-such-model"))
        except grpc.RpcError:
            return
        expect(not found.ready, "ready is true")


@GROUP.must("grpc.server-metadata", "ServerMetadata names the server and its version", COMPLIANT)
def _(target: Target) -> None:
    with client(target) as calls:
        found = calls.call("ServerMetadata", message("ServerMetadataRequest"))
    expect(found.name and found.version, f"name {found.name!r}, version {found.version!r}")


@GROUP.should(
    "grpc.server-metadata-agrees",
    "ServerMetadata says what HTTP says",
    spec("The GRPC API closely follows the concepts defined in the HTTP/REST API."),
)
def _(target: Target) -> None:
    with client(target) as calls:
        found = calls.call("ServerMetadata", message("ServerMetadataRequest"))
    for key in ("name", "version"):
        expect(getattr(found, key) == target.server[key], f"{key} is {getattr(found, key)!r}")


@GROUP.must("grpc.model-metadata", "ModelMetadata describes the model", COMPLIANT)
def _(target: Target) -> None:
    with client(target) as calls:
        found = calls.call("ModelMetadata", message("ModelMetadataRequest", name=target.model))
    expect(found.name == target.model, f"name is {found.name!r}")
    expect(found.inputs and found.outputs, "inputs or outputs are missing")
    for entry in (*found.inputs, *found.outputs):
        expect(entry.datatype in DATATYPES, f"{entry.name} has datatype {entry.datatype!r}")
        expect(all(size >= -1 for size in entry.shape), f"{entry.name} has shape {list(entry.shape)}")


@GROUP.must(
    "grpc.model-metadata-agrees",
    "ModelMetadata has the tensors that HTTP has",
    spec("The GRPC API closely follows the concepts defined in the HTTP/REST API."),
)
def _(target: Target) -> None:
    with client(target) as calls:
        found = calls.call("ModelMetadata", message("ModelMetadataRequest", name=target.model))
    for entries, specs in ((found.inputs, target.inputs), (found.outputs, target.outputs)):
        seen = [(entry.name, entry.datatype, tuple(entry.shape)) for entry in entries]
        expect(seen == [(each.name, each.datatype, each.shape) for each in specs], f"{seen}")


@GROUP.must(
    "grpc.model-metadata-version",
    "ModelMetadata of a version is that of the model",
    proto("The version of the model to check for readiness."),
)
def _(target: Target) -> None:
    request = message("ModelMetadataRequest", name=target.model, version=target.version)
    with client(target) as calls:
        expect(calls.call("ModelMetadata", request).name == target.model, "the name differs")


@GROUP.must("grpc.model-metadata-unknown", "ModelMetadata of an unknown model is refused", GRPC_FAILURE)
def _(target: Target) -> None:
    with client(target) as calls:
        calls.refusal("ModelMetadata", message("ModelMetadataRequest", name="no-such-model"))


@GROUP.should(
    "grpc.metadata-not-found",
    "an unknown model is NOT_FOUND",
    triton("TRITONSERVER_ERROR_NOT_FOUND | 404 | Not Found"),
)
def _(target: Target) -> None:
    with client(target) as calls:
        found, _ = calls.refusal("ModelMetadata", message("ModelMetadataRequest", name="no-such-model"))
    expect(found is Code.NOT_FOUND, f"status {found.name}")


@GROUP.should(
    "grpc.metadata-field-6",
    "ModelMetadataResponse leaves field 6 empty",
    practice(
        "field 6 is map<string, string> properties in one definition and map<string, "
        "InferParameter> parameters in"
        "another: a client built from the other cannot read the message"
    ),
)
def _(target: Target) -> None:
    with client(target) as calls:
        found = calls.call("ModelMetadata", message("ModelMetadataRequest", name=target.model))
    expect(not found.disputed, f"field 6 has {len(found.disputed)} entries")


@GROUP.should("grpc.health", "the standard health service says SERVING", PROBES)
def _(target: Target) -> None:
    with client(target) as calls:
        check = calls.method(f"{HEALTH}/Check", "HealthCheckResponse")
        try:
            found = check(message("HealthCheckRequest"), timeout=10)
        except grpc.RpcError as error:
            expect(condition=False, otherwise=described(error))
        expect(found.status == 1, f"status {found.status}")


@GROUP.should(
    "grpc.health-unknown",
    "the health of an unknown service is NOT_FOUND",
    practice(
        "grpc.health.v1: if the service name is not registered, the server returns a NOT_FOUND GRPC status"
    ),
)
def _(target: Target) -> None:
    with client(target) as calls:
        check = calls.method(f"{HEALTH}/Check", "HealthCheckResponse")
        try:
            check(message("HealthCheckRequest", service="no.such.Service"), timeout=10)
        except grpc.RpcError as error:
            need(code(error) is not Code.UNIMPLEMENTED, "the server has no health service")
            expect(code(error) is Code.NOT_FOUND, described(error))
            return
    expect(condition=False, otherwise="an unknown service is healthy")


@GROUP.must(
    "grpc.unimplemented",
    "a method that the service does not have is UNIMPLEMENTED",
    practice(
        "gRPC status codes: UNIMPLEMENTED, the operation is not implemented or is not supported/enabled"
    ),
)
def _(target: Target) -> None:
    with client(target) as calls:
        for path in ("/inference.GRPCInferenceService/NoSuchMethod", "/no.such.Service/Method"):
            try:
                calls.method(path, "ServerLiveResponse")(message("ServerLiveRequest"), timeout=10)
            except grpc.RpcError as error:
                expect(code(error) is Code.UNIMPLEMENTED, f"{path}: {described(error)}")
                continue
            expect(condition=False, otherwise=f"{path} is answered")


@GROUP.should(
    "grpc.error-text",
    "a refusal says why",
    kserve_client("it shows the status and its details, nothing else"),
)
def _(target: Target) -> None:
    with client(target) as calls:
        _, details = calls.refusal("ModelMetadata", message("ModelMetadataRequest", name="no-such-model"))
    expect(details, "the details are empty")
