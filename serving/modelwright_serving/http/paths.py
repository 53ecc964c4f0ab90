"""Every path of the Open Inference Protocol, and the documents behind all but inference."""

from modelwright_serving.http import responses
from modelwright_serving.http.inference import InferEndpoint
from modelwright_serving.http.responses import Response
from modelwright_serving.http.routes import Routes
from modelwright_serving.oip import documents
from modelwright_serving.state import State


def routes(state: State, infer: InferEndpoint, name: str, version: str, server_version: str) -> Routes:
    """Every path of the protocol for one model, with and without its version."""
    table = Routes(lambda path: responses.error(404, _unknown(path, name, version)))
    server = responses.json(200, documents.server(server_version))
    models = responses.json(200, documents.models(name))
    live = responses.json(200, documents.live())
    table.get("/v2", lambda: server)
    table.get("/v2/models", lambda: models)
    table.get("/v2/health/live", lambda: live)
    table.get("/v2/health/ready", lambda: _ready(state, documents.ready()))
    for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}"):
        table.get(path, lambda: _metadata(state, name, version))
        table.get(f"{path}/ready", lambda: _ready(state, documents.model_ready(name)))
        table.post(f"{path}/infer", infer)
    return table


def _ready(state: State, document: bytes) -> Response:
    if state.ready:
        return responses.json(200, document)
    reason, message = state.unready_reason
    return responses.json(503, documents.not_ready(reason, message), (b"retry-after", b"1"))


def _metadata(state: State, name: str, version: str) -> Response:
    if state.serving is None:
        return responses.unready(state.unready_reason[1])
    model = state.serving.model
    return responses.json(200, documents.model(name, version, model.digest, model.signature))


def _unknown(path: str, name: str, version: str) -> str:
    """Say what is there: a wrong name and a wrong version are the usual mistakes."""
    shown = path[:200]
    prefix = f"/v2/models/{name}"
    if path.startswith(f"{prefix}/versions/"):
        return f"unknown version in {shown}: model {name!r} is served as version {version!r}"
    if path.startswith("/v2/models/") and path != prefix and not path.startswith(f"{prefix}/"):
        return f"unknown model in {shown}: this server serves {name!r}"
    return f"there is nothing at {shown}"
