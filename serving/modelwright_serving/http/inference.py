"""The Open Inference Protocol over HTTP: its paths, and the way of one inference through the executor."""

from time import perf_counter

from modelwright_serving.http import responses
from modelwright_serving.http.exchange import Exchange
from modelwright_serving.http.responses import Response
from modelwright_serving.http.routes import Routes
from modelwright_serving.metrics import ProtocolMetrics
from modelwright_serving.oip import documents, request
from modelwright_serving.oip.answer import Answer, Encoder
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.oip.signature import Signature
from modelwright_serving.state import Serving, State

DIGEST_HEADER = b"modelwright-model-digest"


class _Ticket:
    """One inference on its way through the executor."""

    __slots__ = ("_exchange", "_infer", "_started")

    def __init__(self, infer: "InferEndpoint", exchange: Exchange) -> None:
        self._infer = infer
        self._exchange = exchange
        self._started = perf_counter()
        infer.metrics.in_flight += 1
        exchange.on_gone = infer.metrics.abandoned

    @property
    def settled(self) -> bool:
        return self._exchange.settled

    def decode(self) -> InferRequest:
        return request.decode(self._infer.signature, self._exchange.body, self._exchange.header_length)

    def succeed(self, decoded: InferRequest, answer: Answer) -> None:
        body, header_length = self._infer.encoder.encode(decoded, answer)
        if header_length is None:
            self._respond(Response(200, self._infer.json_head, body))
        else:
            length = (b"inference-header-content-length", str(header_length).encode())
            head = responses.head(200, responses.BINARY, self._infer.digest, length)
            self._respond(Response(200, head, body))

    def fail(self, error: OipError) -> None:
        self._respond(responses.error(error.problem.value, error.message, self._infer.digest))

    def _respond(self, response: Response) -> None:
        self._infer.metrics.done(response.status, perf_counter() - self._started)
        self._exchange.respond(response)


class InferEndpoint:
    """POST .../infer of the served model."""

    takes_body = True

    def __init__(self, state: State, name: str, version: str, metrics: ProtocolMetrics) -> None:
        self._state = state
        self._name = name
        self._version = version
        self.metrics = metrics
        self.signature: Signature
        self.encoder: Encoder
        self.digest: tuple[bytes, bytes]
        self.json_head: bytes

    def install(self, serving: Serving) -> None:
        """Prepare everything that all answers of this model have in common."""
        self.signature = serving.model.signature
        self.encoder = Encoder(self.signature, self._name, self._version)
        self.digest = (DIGEST_HEADER, serving.model.digest.encode())
        self.json_head = responses.head(200, responses.JSON, self.digest)

    def handle(self, exchange: Exchange) -> None:
        serving = self._state.serving
        if serving is None:
            self.metrics.refused(503)
            exchange.respond(_unready(self._state))
            return
        serving.executor.submit(_Ticket(self, exchange))


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
        return _unready(state)
    model = state.serving.model
    return responses.json(200, documents.model(name, version, model.digest, model.signature))


def _unready(state: State) -> Response:
    return responses.error(Problem.UNAVAILABLE.value, state.unready_reason[1])


def _unknown(path: str, name: str, version: str) -> str:
    """Say what is there: a wrong name and a wrong version are the usual mistakes."""
    shown = path[:200]
    prefix = f"/v2/models/{name}"
    if path.startswith(f"{prefix}/versions/"):
        return f"unknown version in {shown}: model {name!r} is served as version {version!r}"
    if path.startswith("/v2/models/") and path != prefix and not path.startswith(f"{prefix}/"):
        return f"unknown model in {shown}: this server serves {name!r}"
    return f"there is nothing at {shown}"
