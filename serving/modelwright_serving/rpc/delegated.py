"""Delegates inference over gRPC to another revision, and checks its answer before the caller gets it.

The other revision gets a unary call of the Connect protocol, which `connect` answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from time import monotonic

from modelwright_serving import protobuf
from modelwright_serving.http2.stream import Stream
from modelwright_serving.limits import TRAFFIC
from modelwright_serving.metrics import ProtocolMetrics
from modelwright_serving.oip.response import Outputs
from modelwright_serving.oip.signature import DIGEST
from modelwright_serving.rpc import framing, response, status
from modelwright_serving.rpc.status import OK_TRAILER, REFUSALS, RpcError
from modelwright_serving.traffic.answers import (
    AnswerForm,
    CheckedAnswer,
    InvalidAnswerError,
    OwnAnswer,
    OwnError,
    content_type,
    digest,
)
from modelwright_serving.traffic.attempt import Attempt
from modelwright_serving.traffic.client import ReceivedResponse, Request
from modelwright_serving.traffic.delegation import Afterwards, Delegation

PATH = b"/inference.GRPCInferenceService/ModelInfer"
PROTO = b"application/proto"
_VERSION = 2
_OUTPUTS = 5


class DelegatedCall:
    """A call that another revision is to answer; `answer_here` is called if it does not."""

    __slots__ = ("_answer_here", "_attempt", "_metrics", "_stream", "_track")

    def __init__(
        self,
        delegation: Delegation,
        request: Request,
        stream: Stream,
        metrics: ProtocolMetrics[str],
        answer_here: Callable[[Afterwards | None], None],
    ) -> None:
        self._stream = stream
        self._metrics = metrics
        self._answer_here = answer_here
        self._track = delegation.track
        metrics.in_flight += 1
        stream.on_gone = self._gone
        patience = delegation.patience(stream.deadline - monotonic()) if stream.deadline < inf else inf
        self._attempt = Attempt(delegation, request, patience, PROTOBUF_ANSWERS, self._pass_on, self._failed)

    def _gone(self) -> None:
        self._metrics.abandoned()
        self._attempt.abandon()

    def _pass_on(self, answer: CheckedAnswer) -> None:
        self._metrics.in_flight -= 1
        head = status.response((DIGEST, answer.digest), self._track)
        self._stream.answer(head, framing.framed(answer.body), OK_TRAILER)

    def _failed(self, afterwards: Afterwards | None) -> None:
        self._metrics.in_flight -= 1
        self._stream.on_gone = None
        self._answer_here(afterwards)


def request(delegation: Delegation, message: bytes, headers: Mapping[bytes, bytes]) -> Request:
    """The caller's message for the other revision."""
    return delegation.request(PATH, PROTO, message, headers)


def own_error(error: RpcError) -> OwnAnswer:
    """What this revision answers with an error."""
    return OwnAnswer(error=OwnError.REFUSED if error.code in REFUSALS else OwnError.FAILED)


def stays(message: bytes) -> bool:
    """True if no other revision may answer a ModelInferRequest: it names a version, or is none."""
    try:
        for number, field in enumerate(protobuf.read(message, 0, len(message))):
            if number == TRAFFIC.fields or (field.number == _VERSION and field.stop > field.start):
                return True
    except protobuf.WireError:
        return True
    return False


def _check(received: ReceivedResponse) -> CheckedAnswer:
    """A ModelInferResponse."""
    content_type(received, PROTO)
    body, outputs = received.body, 0
    try:
        for number, field in enumerate(protobuf.read(body, 0, len(body))):
            if number == TRAFFIC.fields:
                raise InvalidAnswerError(f"its message has more than {TRAFFIC.fields} fields")
            outputs += field.number == _OUTPUTS and field.kind == protobuf.LENGTH
    except protobuf.WireError as error:
        raise InvalidAnswerError(f"its body is no ModelInferResponse: {error}") from None
    if not outputs:
        raise InvalidAnswerError("its message has no outputs")
    return CheckedAnswer(body, None, digest(received))


def _read(body: bytes, _: int | None) -> Outputs:
    return response.read(body)


PROTOBUF_ANSWERS = AnswerForm(_check, _read)
