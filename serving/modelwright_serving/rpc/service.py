"""Every call of the Open Inference Protocol, and the answers to all but inference."""

from collections.abc import Callable
from functools import partial

from modelwright_serving.host import Host
from modelwright_serving.http2.connection import Http2Connection
from modelwright_serving.http2.peers import Peers
from modelwright_serving.limits import Limits
from modelwright_serving.metrics import Metrics
from modelwright_serving.model import LoadedModel
from modelwright_serving.oip import documents
from modelwright_serving.oip.answer import Tokens
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.rpc import extensions, messages
from modelwright_serving.rpc.calls import Method, Router, Unary
from modelwright_serving.rpc.connect import ConnectEndpoint
from modelwright_serving.rpc.decoding import Target
from modelwright_serving.rpc.health import Health
from modelwright_serving.rpc.inference import ModelInfer
from modelwright_serving.rpc.replies import Replies
from modelwright_serving.state import Serving, State
from modelwright_serving.traffic.delegation import Delegation

_NAME = "modelwright-serving"
SERVICE = "inference.GRPCInferenceService"


class RpcService:
    """The gRPC side of one served model."""

    def __init__(
        self,
        state: State,
        target: Target,
        server_version: str,
        metrics: Metrics,
        limits: Limits,
        tokens: Tokens | None = None,
    ) -> None:
        self._state = state
        self._target = target
        self._totals = metrics.totals
        self._limits = limits
        self._replies = Replies()
        self._infer = ModelInfer(state, target, self._replies, metrics.grpc, limits.body, tokens)
        self._health = Health(state, self._replies, ("", SERVICE))
        self._server = messages.server_metadata(_NAME, server_version, documents.EXTENSIONS)

    def connections(self) -> Callable[[Host], Http2Connection]:
        """Makes the connections of a host."""
        router = Router(self._methods(), self._replies, self._limits.header_fields)
        return partial(Http2Connection, router.route, Peers())

    def install(self, serving: Serving) -> None:
        """From now on inferences are answered."""
        self._infer.install(serving)
        self._replies.describe(serving.model.digest)

    def follow(self, delegation: Delegation | None) -> None:
        """Which share of the inferences is delegated from now on."""
        self._infer.follow(delegation)

    def connect(self) -> ConnectEndpoint:
        """The same inference over HTTP/1.1."""
        return ConnectEndpoint(self._infer)

    def changed(self) -> None:
        """The server's readiness may have changed."""
        self._health.changed()

    def _methods(self) -> dict[bytes, Method]:
        calls: dict[str, Method] = {
            "ServerLive": self._unary(lambda _: messages.flag(value=self._state.live)),
            "ServerReady": self._unary(lambda _: messages.flag(value=self._state.ready)),
            "ServerMetadata": self._unary(lambda _: self._server),
            "ModelReady": self._unary(self._model_ready),
            "ModelMetadata": self._unary(self._model_metadata),
            "ModelInfer": self._infer,
            "ModelConfig": self._unary(self._model_configuration),
            "ModelStatistics": self._unary(self._model_statistics),
            "RepositoryIndex": self._unary(self._index),
            "RepositoryModelLoad": self._unary(self._one_model),
            "RepositoryModelUnload": self._unary(self._one_model),
        }
        return {
            **{f"/{SERVICE}/{name}".encode(): method for name, method in calls.items()},
            b"/grpc.health.v1.Health/Check": self._health.check,
            b"/grpc.health.v1.Health/Watch": self._health,
        }

    def _unary(self, respond: Callable[[bytes], bytes]) -> Unary:
        return Unary(self._replies, respond)

    def _model_ready(self, message: bytes) -> bytes:
        self._target.check(*messages.texts(message, 1, 2))
        return messages.flag(value=self._state.ready)

    def _model_metadata(self, message: bytes) -> bytes:
        self._target.check(*messages.texts(message, 1, 2))
        target = self._target
        return messages.model_metadata(
            target.name, target.version, documents.PLATFORM, self._model().signature
        )

    def _model_configuration(self, message: bytes) -> bytes:
        self._target.check(*messages.texts(message, 1, 2))
        model = self._model()
        return extensions.configuration(
            documents.configuration(
                self._target.name, model.digest, model.signature, joins_rows=model.joins_rows
            )
        )

    def _model_statistics(self, message: bytes) -> bytes:
        name, version = messages.texts(message, 1, 2)
        self._target.check(name or self._target.name, version)  # no name stands for every model
        return extensions.statistics(
            documents.statistics(self._target.name, self._target.version, self._totals())
        )

    def _index(self, message: bytes) -> bytes:
        problem = None if self._state.ready else self._state.unready_reason[1]
        only_ready = extensions.asks_for_ready(message)
        return extensions.index(
            documents.index(self._target.name, self._target.version, problem, only_ready=only_ready)
        )

    def _one_model(self, message: bytes) -> bytes:
        (name,) = messages.texts(message, 2)
        self._target.check(name, "")
        raise OipError(documents.ONE_MODEL)

    def _model(self) -> LoadedModel:
        if self._state.serving is None:
            raise OipError(self._state.unready_reason[1], Problem.UNAVAILABLE)
        return self._state.serving.model
