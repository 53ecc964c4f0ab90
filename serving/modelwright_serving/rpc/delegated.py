"""The way of one inference over gRPC through another revision, and back here when that one fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from time import monotonic

from modelwright_serving.http2.stream import Stream
from modelwright_serving.metrics import ProtocolMetrics
from modelwright_serving.oip.signature import Signature
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.rpc import framing, response, status
from modelwright_serving.rpc.replies import DIGEST
from modelwright_serving.rpc.status import OK_TRAILER
from modelwright_serving.traffic.client import Answer
from modelwright_serving.traffic.delegation import CANARY, Agreed, Attempt, Delegation, Mirror

# A unary call of the Connect protocol, which `connect` answers.
PATH = b"/inference.GRPCInferenceService/ModelInfer"
PROTO = b"application/proto"


class Delegated:
    """Asks the other revision with the caller's own message; `answer_here` is for what it does not answer."""

    __slots__ = ("_answer_here", "_attempt", "_metrics", "_stream")

    def __init__(
        self,
        delegation: Delegation,
        message: bytes,
        stream: Stream,
        metrics: ProtocolMetrics[str],
        answer_here: Callable[[Agreed | None], None],
    ) -> None:
        self._stream = stream
        self._metrics = metrics
        self._answer_here = answer_here
        metrics.in_flight += 1
        stream.on_gone = self._gone
        request = delegation.request(PATH, PROTO, message)
        patience = stream.deadline - monotonic() if stream.deadline < inf else inf
        seconds = max(0.0, delegation.seconds(patience))
        self._attempt = Attempt(delegation, request, seconds, self._answered, self._failed)

    def _gone(self) -> None:
        self._metrics.abandoned()
        self._attempt.abandon()

    def _answered(self, answer: Answer) -> None:
        self._metrics.in_flight -= 1
        digest = (DIGEST, answer.headers.get(DIGEST, b""))
        self._stream.answer(status.response(digest, CANARY), framing.framed(answer.body), OK_TRAILER)

    def _failed(self, agreed: Agreed | None) -> None:
        self._metrics.in_flight -= 1
        self._stream.on_gone = None
        self._answer_here(agreed)


def mirrored(delegation: Delegation, message: bytes, signature: Signature) -> Mirror:
    """Has the other revision repeat the request, and compares."""
    return delegation.mirror(delegation.request(PATH, PROTO, message), signature, _outputs)


def _outputs(answer: Answer) -> Mapping[str, Tensor]:
    return response.read(answer.body)
