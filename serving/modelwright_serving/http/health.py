"""The protocol's health of the server: on the HTTP port for callers, on the admin port for the kubelet's probes."""

from modelwright_serving.http import responses
from modelwright_serving.http.responses import Response
from modelwright_serving.http.routes import Routes
from modelwright_serving.oip import documents
from modelwright_serving.state import State


def add(table: Routes, state: State) -> None:
    """GET /v2/health/live and /v2/health/ready."""
    live = responses.json(200, documents.live())
    stuck = responses.error(503, "a run of the model does not end")
    yes = responses.json(200, documents.ready())
    table.get("/v2/health/live", lambda: live if state.live else stuck)
    table.get("/v2/health/ready", lambda: ready(state, yes))


def ready(state: State, yes: Response) -> Response:
    """`yes` while inference requests are welcome, else why they are not."""
    if state.ready:
        return yes
    reason, message = state.unready_reason
    return responses.json(503, documents.not_ready(reason, message), (b"retry-after", b"1"))
