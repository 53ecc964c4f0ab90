"""What has to hold between the calls that were sent on an HTTP/2 connection and the answers of the server."""

from __future__ import annotations

from typing import Any

from tritonclient.grpc import service_pb2 as pb

from fuzz.answers import same
from fuzz.arrival import Arrival
from fuzz.engine import Finding
from fuzz.grpc_asked import Asked, Call, is_ordinary, request_in, tensors
from fuzz.grpc_inputs import INFER, STATISTICS, WATCH
from fuzz.grpc_replies import Answer, Heard
from fuzz.models import Model
from fuzz.reference import unpacked
from modelwright_serving.oip.signature import NUMPY_TYPES

OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE = 0, 3, 4, 8, 13, 14
LARGE = 2000
CALM = 11
NO_ERROR = 0


def check_number(got: Heard, seen: Asked, arrival: Arrival) -> None:
    """Finding if calls stay without an answer, or get more than their caller takes."""
    if unasked := got.answers.keys() - seen.calls.keys():
        answered = [stream for stream in unasked if got.answers[stream].headers is not None]
        if seen.clean and answered:
            raise Finding(f"nobody has called on {answered}")
    for stream, size in got.sent.items():
        if size > seen.window(stream):
            raise Finding(f"{size} bytes on stream {stream}, but its window is {seen.window(stream)}")
    if sum(got.sent.values()) > seen.window(0):
        raise Finding(f"{sum(got.sent.values())} bytes, but the connection's window is {seen.window(0)}")
    if not seen.clean or not arrival.plain:
        return
    if got.goaway is not None and got.goaway[0] not in {NO_ERROR, CALM}:
        raise Finding(f"nothing is wrong with the connection, but it ends with {got.goaway}")
    for stream, call in seen.calls.items():
        waits = call.headers.get(b":path") == WATCH.encode() or seen.shrunk or got.failed
        answer = got.answers.get(stream, Answer())
        if call.complete and not call.reset and not waits and not (answer.ended or answer.reset is not None):
            raise Finding(f"no answer on stream {stream} to {call}: {answer}")


def check_answer(model: Model, seen: Asked, call: Call, answer: Answer) -> None:
    """Finding if this is no answer to that call."""
    if answer.code == INTERNAL:
        raise Finding(f"the server failed: {answer}")
    if answer.code == DEADLINE_EXCEEDED and b"grpc-timeout" not in call.headers:
        raise Finding(f"nobody is in a hurry: {answer}")
    if answer.code in {RESOURCE_EXHAUSTED, UNAVAILABLE} and not _is_much(seen):
        raise Finding(f"the server is not busy: {answer} for {call}")
    if not (seen.clean or answer.code == OK) or not is_ordinary(call) or answer.code is None:
        return
    if call.headers[b":path"] == INFER.encode() and answer.code not in {RESOURCE_EXHAUSTED, UNAVAILABLE}:
        _check_inference(model, call, answer)


def _is_much(seen: Asked) -> bool:
    """Whether all that has come may be too large."""
    lengths = [call.headers.get(b"content-length", b"0") for call in seen.calls.values()]
    compressed = any(b"grpc-encoding" in call.headers for call in seen.calls.values())
    sizes = [int.from_bytes(call.body[1:5], "big") for call in seen.calls.values()]
    return compressed or any(lengths) or max(sizes, default=0) > LARGE or not seen.clean


def _check_inference(model: Model, call: Call, answer: Answer) -> None:
    message = call.message if call.complete else None
    request = None if message is None else request_in(message)
    if request is None:
        if message is None and answer.code == OK:
            raise Finding(f"there is no message, but an answer: {answer}")
        return
    try:
        given = tensors(model.signature, request)
    except ValueError:
        if answer.code == OK:
            raise Finding(f"something is wrong with {request}, but the answer is {answer}") from None
        return
    if answer.code == INVALID_ARGUMENT and message is not None and b"prediction_tokens" in message:
        return  # libraries differ in what they make of a parameter with unknown fields
    if answer.code != OK:
        raise Finding(f"nothing is wrong with {request}, but the answer is {answer}")
    _compare(model, request, answer, model.reference.run(given))


def _compare(model: Model, request: Any, answer: Answer, expected: dict[str, Any]) -> None:
    if len(answer.messages) != 1:
        raise Finding(f"no single message: {answer}")
    response = pb.ModelInferResponse.FromString(answer.messages[0])
    wanted = [output.name for output in request.outputs] or list(expected)
    names = [output.name for output in response.outputs]
    about = (response.model_name, response.model_version, response.id)
    if (
        names != wanted
        or about != ("churn", "1", request.id)
        or len(response.raw_output_contents) != len(names)
    ):
        raise Finding(f"asked for {wanted} of {request.id!r}, got {response}")
    for output, blob in zip(response.outputs, response.raw_output_contents, strict=True):
        tensor = unpacked(blob, NUMPY_TYPES[output.datatype]).reshape(output.shape)
        if not same(tensor, expected[output.name]):
            raise Finding(f"the model gives {expected[output.name]!r}, but the answer says {tensor!r}")


def same_every_time(seen: Asked) -> bool:
    """Whether no clock decides about the answers."""
    return not any(b"grpc-timeout" in call.headers for call in seen.calls.values())


def differ(whole: Heard, pieces: Heard, seen: Asked) -> None:
    """Finding if the same bytes are answered differently; what ends a connection may come before some answers."""
    if whole.failed != pieces.failed:
        raise Finding(f"in one piece it ends with {whole.goaway}, in several with {pieces.goaway}")
    if whole.failed:
        return
    for stream, call in seen.calls.items():
        one, other = whole.answers.get(stream, Answer()), pieces.answers.get(stream, Answer())
        late = (
            one.reset is not None or other.reset is not None
        )  # a reset may come before an answer, or after it
        if one != other and not late and call.headers.get(b":path") != STATISTICS.encode():
            raise Finding(f"in one piece it is answered {one}, in several {other}")
