"""What has to hold between the requests that HTTP/1.1 sees in some bytes and the answers of the server."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

import orjson

from fuzz.answers import read
from fuzz.arrival import Arrival
from fuzz.asked import Asked, Request
from fuzz.engine import Finding
from fuzz.http_inputs import FEEDBACK, HEADER_LENGTH, INFER, TOKENS
from fuzz.models import Model
from fuzz.replies import Reply
from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.request import decode

ALLOWED_FAILURES = {501, 503, 505}
MAX_BODY = 4096
_LENGTH_NAME = HEADER_LENGTH[:-2].lower()


def check_answer(model: Model, request: Request, reply: Reply, *, pipelined: int) -> None:
    """Finding if this is no answer to that: because it is another's, or because it is wrong.

    `pipelined`: bytes of all requests of the connection, which may wait together.
    """
    if reply.status == 503 and not _is_much(request) and pipelined <= MAX_BODY:
        raise Finding(f"the server is not busy: {reply} for {request}")
    if reply.bodiless and request.method != b"HEAD":
        raise Finding(f"a body is missing: {reply} for {request}")
    if request.method == b"POST" and request.target == INFER and _is_plain(request) and not _is_odd(reply):
        _check_inference(model, request, reply)
    if request.method == b"POST" and request.target == FEEDBACK and reply.status == 200:
        _check_feedback(request, reply)


def _check_inference(model: Model, request: Request, reply: Reply) -> None:
    length = request.headers.get(_LENGTH_NAME)
    header_length = None if length is None else int(length)
    try:
        decoded = decode(model.signature, request.body, header_length)
    except OipError as error:
        if reply.status == 200 or (reply.status == 400 and reply.error != error.message):
            raise Finding(f"{error.message}, but the answer is {reply}") from None
        return
    if reply.status == 200:
        expected = model.reference.run(model.reference.tensors(request.body, header_length, ()))
        read(model.signature, reply).compare(decoded, expected)
    elif reply.status < 411:
        raise Finding(f"nothing is wrong with {request}, but the answer is {reply}")


def _check_feedback(request: Request, reply: Reply) -> None:
    """Each token becomes one of what the answer counts, and what is not signed is never counted."""
    if b"content-encoding" in request.headers:
        return
    tokens = orjson.loads(request.body)["tokens"]
    counts = orjson.loads(reply.body)
    if sum(counts.values()) != len(tokens):
        raise Finding(f"{len(tokens)} tokens become {counts}")
    if sum(token not in TOKENS for token in tokens) != counts["forged"]:
        raise Finding(f"of {tokens} the server takes {counts}")


def _is_much(request: Request) -> bool:
    """Whether this may be too large beside others."""
    return len(request.body) > MAX_BODY // 4 or b"content-encoding" in request.headers


def _is_plain(request: Request) -> bool:
    """Whether nothing but its body decides about the answer."""
    length = request.headers.get(_LENGTH_NAME, b"0")
    special = {b"content-encoding", b"expect", b"upgrade"} & set(request.headers)
    if request.version == b"1.0" and b"transfer-encoding" in request.headers:  # which HTTP/1.0 does not know
        return False
    return not special and not request.twice and length.isdigit() and len(length) < 16


def _is_odd(reply: Reply) -> bool:
    """Whether the request is refused for line ends or lengths that h11 takes: both may be right."""
    return reply.status == 400 and reply.error.startswith("the request is not valid HTTP/1.1")


def check_number(got: list[Reply], seen: Asked, wire: bytes, arrival: Arrival) -> None:
    """Finding if this is not how HTTP/1.1 answers that."""
    answers = final(got)
    for reply in answers:
        if reply.status >= 500 and reply.status not in ALLOWED_FAILURES:
            raise Finding(f"the server failed: {reply.status} {reply.body[:300]!r}")
    if any(reply.closes for reply in answers[:-1]):
        raise Finding(f"answers follow the last one: {shown(got)}")
    if len(got) > len(answers) and b"100-continue" not in wire.lower():
        raise Finding("the server asks for a body that nobody announced")
    if sum(reply.bodiless for reply in answers) > wire.count(b"HEAD"):
        raise Finding(f"a body is missing: {shown(got)}")
    asked_for, closed = len(seen.requests), bool(answers) and answers[-1].closes
    if len(answers) < asked_for and not closed and not arrival.may_be_late:
        raise Finding(f"{asked_for} requests, but {len(answers)} answers: {shown(got)}")
    if seen.clean and len(answers) > asked_for:
        raise Finding(f"{asked_for} requests, but {len(answers)} answers: {shown(got)}")


def differ(whole: list[Reply], pieces: list[Reply]) -> bool:
    """Whether the same bytes are answered differently; when a limit is noticed depends on the pieces."""
    one, other = (
        [_timeless(reply) for reply in takewhile(lambda reply: not refuses(reply), final(got))]
        for got in (whole, pieces)
    )
    shorter = min(len(one), len(other))
    cut = any(refuses(reply) for reply in (*whole, *pieces))
    return one[:shorter] != other[:shorter] or (not cut and len(one) != len(other))


def refuses(reply: Reply) -> bool:
    """Whether nothing is read on: what comes was too much, too slow or no HTTP."""
    return reply.closes and reply.status >= 400


def final(got: list[Reply]) -> list[Reply]:
    """Answers, without the wish for a body."""
    return [reply for reply in got if reply.status >= 200]


def _timeless(reply: Reply) -> Reply:
    """Without the counts of what happened so far."""
    grows = (b'{"model_stats"', b'{"counted"')
    tokens = b'"prediction_tokens"'
    return replace(reply, body=b"") if reply.body.startswith(grows) or tokens in reply.body else reply


def shown(got: list[Reply]) -> str:
    """Answers in short."""
    return f"{len(got)} answers: " + str([(reply.status, reply.body[:80]) for reply in got[-5:]])
