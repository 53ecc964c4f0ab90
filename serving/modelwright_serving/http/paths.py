"""Every path of the Open Inference Protocol, and the documents behind all but inference."""

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from modelwright_serving.http import health, openapi, responses
from modelwright_serving.http.exchange import Endpoint, Exchange
from modelwright_serving.http.inference import Inference, InferEndpoint, PinnedEndpoint
from modelwright_serving.http.responses import Response
from modelwright_serving.http.routes import Document, Routes
from modelwright_serving.metrics import Metrics
from modelwright_serving.model import LoadedModel
from modelwright_serving.oip import documents
from modelwright_serving.state import State

_MAX_FILTER = 4096


def routes(
    state: State,
    inference: Inference,
    feedback: Endpoint,
    metrics: Metrics,
    name: str,
    version: str,
    server_version: str,
) -> Routes:
    """Every path of the protocol for one model, with and without its version."""
    table = Routes(lambda path: responses.error(404, _unknown(path, name, version)))
    server = responses.json(200, documents.server(server_version))
    models = responses.json(200, documents.models(name))
    ready = responses.json(200, documents.model_ready(name))
    table.get("/v2", lambda: server)
    table.get("/v2/models", lambda: models)
    health.add(table, state)
    table.get("/v2/models/stats", lambda: _statistics(metrics, name, version))
    table.get(
        openapi.PATH,
        _once_loaded(
            state,
            lambda model: openapi.document(name, version, model.signature),
            before=openapi.document(name, version, None),
        ),
    )
    table.post("/v2/repository/index", _Index(state, name, version))
    for verb in ("load", "unload"):
        table.post(
            f"/v2/repository/models/{name}/{verb}",
            Document(lambda: responses.error(400, documents.ONE_MODEL)),
        )
    # Last, so that a model may be called as one of the paths above.
    pinned = f"/v2/models/{name}/versions/{version}"
    metadata = _once_loaded(
        state, lambda model: documents.model(name, version, model.digest, model.signature)
    )
    configuration = _once_loaded(
        state,
        lambda model: documents.configuration(
            name, model.digest, model.signature, joins_rows=model.joins_rows
        ),
    )
    for path in (f"/v2/models/{name}", pinned):
        table.get(path, metadata)
        table.get(f"{path}/ready", lambda: health.ready(state, ready))
        table.get(f"{path}/config", configuration)
        table.get(f"{path}/stats", lambda: _statistics(metrics, name, version))
        endpoint = PinnedEndpoint(inference) if path == pinned else InferEndpoint(inference)
        table.post(f"{path}/infer", endpoint)
        table.post(f"{path}/feedback", feedback)
    return table


@dataclass(frozen=True, slots=True)
class _Index:
    """POST /v2/repository/index, whose body may ask for ready models only."""

    state: State
    name: str
    version: str
    takes_body: bool = True

    def handle(self, exchange: Exchange) -> None:
        problem = None if self.state.ready else self.state.unready_reason[1]
        only_ready = _asks_for_ready(exchange.body)
        body = documents.index(self.name, self.version, problem, only_ready=only_ready)
        exchange.respond(responses.json(200, body))


def _asks_for_ready(body: bytes) -> bool:
    """Clients send an object, an empty body or something else; only the object can ask for something."""
    if len(body) > _MAX_FILTER:
        return False
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(document, dict) and document.get("ready") is True


def _once_loaded(
    state: State, render: Callable[[LoadedModel], bytes], before: bytes | None = None
) -> Callable[[], Response]:
    """A document about the model, rendered once; until it is loaded `before`, or that it is not loaded."""
    known = None if before is None else responses.json(200, before)
    found: list[Response] = []

    def respond() -> Response:
        if not found:
            if state.serving is None:
                return known or responses.unready(state.unready_reason[1])
            found.append(responses.json(200, render(state.serving.model)))
        return found[0]

    return respond


def _statistics(metrics: Metrics, name: str, version: str) -> Response:
    return responses.json(200, documents.statistics(name, version, metrics.totals()))


def _unknown(path: str, name: str, version: str) -> str:
    """Say what is there: a wrong name and a wrong version are the usual mistakes."""
    shown = path[:200]
    if path.startswith(f"/v2/models/{name}/versions/"):
        return f"unknown version in {shown}: model {name!r} is served as version {version!r}"
    for folder in ("/v2/models/", "/v2/repository/models/"):
        if path.startswith(folder) and not f"{path}/".startswith(f"{folder}{name}/"):
            return f"unknown model in {shown}: this server serves {name!r}"
    return f"there is nothing at {shown}"
