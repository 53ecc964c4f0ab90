"""One delegated request: whatever reading its answer does, the caller is answered once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

import pytest
import uvloop
from unit.serving.traffic.test_client import OK, Upstream

from modelwright_serving.memory import Memory
from modelwright_serving.traffic.answers import (
    AnswerForm,
    CheckedAnswer,
    InvalidAnswerError,
    OwnAnswer,
    OwnError,
)
from modelwright_serving.traffic.attempt import Attempt, paired
from modelwright_serving.traffic.client import ReceivedResponse
from modelwright_serving.traffic.counts import Outcome, TrafficCounts
from modelwright_serving.traffic.delegation import Afterwards, Delegation, Traffic
from modelwright_serving.traffic.rule import Rule


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(OK)


async def attempted(form: AnswerForm, memory: Memory) -> tuple[list[str], TrafficCounts]:
    """What becomes of three requests, and the counts."""
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(Upstream(answers), "127.0.0.1", 0)
    counts = TrafficCounts({})
    traffic = Traffic(loop, counts, memory, lambda: 60.0)
    host, port = server.sockets[0].getsockname()
    traffic.follow(Rule("new", host, port, timeout=60.0))
    followed: list[Delegation | None] = []
    traffic.subscribe(followed.append)
    (delegation,) = followed
    assert delegation is not None
    called: asyncio.Queue[str] = asyncio.Queue()

    def answered_here(afterwards: Afterwards | None) -> None:
        called.put_nowait("answered here")
        if afterwards is not None:
            afterwards(OwnAnswer(b"{}"))

    for _ in range(3):
        request = delegation.request(b"/v2/models/m/infer", b"application/json", b"{}", {})
        Attempt(
            delegation,
            request,
            inf,
            form,
            lambda _: called.put_nowait("passed on"),
            answered_here,
        )
    found = [await called.get() for _ in range(3)]
    traffic.follow(None)
    server.close()
    return found, counts


def form(check: Callable[[ReceivedResponse], CheckedAnswer]) -> AnswerForm:
    return AnswerForm(check, lambda *_: {})


@pytest.mark.parametrize("error", [InvalidAnswerError("no"), RuntimeError("a defect"), RecursionError()])
def test_whatever_goes_wrong_with_an_answer_its_caller_is_answered_here(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(received: ReceivedResponse) -> CheckedAnswer:
        raise error

    called, counts = uvloop.run(attempted(form(check), Memory(2**20)))
    assert called == ["answered here"] * 3
    assert counts.revision("new").outcomes == {Outcome.BROKEN: 3}
    assert capsys.readouterr().out.count("answer of another revision refused") == 1


def test_without_memory_nothing_is_counted_against_the_other_revision() -> None:
    def check(received: ReceivedResponse) -> CheckedAnswer:
        return CheckedAnswer(received.body, None, b"")

    called, counts = uvloop.run(attempted(form(check), Memory(2**20)))
    assert (called, counts.revision("new").outcomes) == (["passed on"] * 3, {Outcome.ANSWERED: 3})
    called, counts = uvloop.run(attempted(form(check), Memory(0)))
    assert (called, counts.revision("new").outcomes) == (["answered here"] * 3, {})


PAIRS = [
    (Outcome.FAILED, None, False, Outcome.FAILED),
    (Outcome.FAILED, OwnError.FAILED, False, Outcome.FAILED_ALIKE),
    (Outcome.FAILED, OwnError.REFUSED, False, Outcome.FAILED),
    (Outcome.FAILED, None, True, Outcome.FAILED),
    (Outcome.TIMEOUT, None, False, Outcome.TIMEOUT),
    (Outcome.TIMEOUT, None, True, Outcome.FAILED_ALIKE),
    (Outcome.TIMEOUT, OwnError.REFUSED, False, Outcome.TIMEOUT),
    (Outcome.UNREACHABLE, OwnError.FAILED, False, Outcome.FAILED_ALIKE),
    (Outcome.UNREACHABLE, None, True, Outcome.UNREACHABLE),
    (Outcome.BROKEN, OwnError.FAILED, False, Outcome.FAILED_ALIKE),
    (Outcome.OVERLOADED, OwnError.FAILED, False, Outcome.FAILED_ALIKE),
    (Outcome.OVERLOADED, None, True, Outcome.OVERLOADED),
    (Outcome.REJECTED, None, False, Outcome.REJECTED),
    (Outcome.REJECTED, OwnError.REFUSED, False, Outcome.INVALID),
    (Outcome.REJECTED, OwnError.FAILED, False, Outcome.FAILED_ALIKE),
    (Outcome.HURRIED, OwnError.FAILED, True, Outcome.HURRIED),
]


@pytest.mark.parametrize(("other", "this", "is_slow", "expected"), PAIRS)
def test_a_failure_counts_by_what_this_revision_made_of_the_same_request(
    other: Outcome, this: OwnError | None, is_slow: bool, expected: Outcome
) -> None:
    assert paired(other, this, is_slow=is_slow) is expected
