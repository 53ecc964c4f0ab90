"""Answers to calls, each with the digest of the model behind it."""

from modelwright_serving.http2.stream import Stream
from modelwright_serving.oip.signature import DIGEST
from modelwright_serving.rpc import framing, status
from modelwright_serving.rpc.status import FAILURES, OK_TRAILER, Code, RpcError


class Replies:
    """What all answers of a server have in common."""

    def __init__(self) -> None:
        self._metadata: tuple[tuple[bytes, bytes], ...] = ()
        self.head = status.response()

    def describe(self, digest: str) -> None:
        """From now on answers come from this model."""
        self._metadata = ((DIGEST, digest.encode()),)
        self.head = status.response(*self._metadata)

    def message(self, stream: Stream, content: bytes) -> None:
        """One message, and nothing went wrong."""
        stream.answer(self.head, framing.framed(content), OK_TRAILER)

    def failure(self, stream: Stream, error: RpcError, *more: tuple[bytes, bytes]) -> None:
        """No message, but the reason why; also in the log if that is the server's fault."""
        if error.code in FAILURES and not stream.settled:
            stream.failed(error.code.name, error.message)
        stream.refuse(status.failure(error, *self._metadata, *more))

    def end(self, stream: Stream, code: Code, message: str) -> None:
        """The end of messages that have been started."""
        stream.finish(status.fields(*status.status(code, message)))
