"""Of several processes one writes, and never two."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from fakes.api import FakeApi
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwright.engine.errors import Unavailable
from modelwright.engine.lease import DEADLINE, DURATION, LEASES, Elector
from modelwright.engine.objects import Body, Key

KEY = Key(LEASES, "modelwright-system", "modelwright-operator")


@dataclass
class Election:
    """Some candidates, one Lease, and a clock that only moves when told to."""

    api: FakeApi = field(default_factory=FakeApi)
    time: float = 1000.0

    def candidate(self, name: str, **more: Any) -> Elector:
        def now() -> datetime:
            return datetime.fromtimestamp(self.time, UTC)

        return Elector(self.api, KEY, name, clock=lambda: self.time, now=now, **more)

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.api.objects[KEY]["spec"]
        return spec


@pytest.fixture
def election() -> Election:
    return Election()


async def test_the_first_to_come_is_in_charge(election: Election) -> None:
    a, b = election.candidate("a"), election.candidate("b")

    assert await a.step()
    assert not await b.step()
    assert (a.may_write(), b.may_write()) == (True, False)
    assert election.spec["holderIdentity"] == "a"


async def test_nobody_is_in_charge_without_asking(election: Election) -> None:
    assert not election.candidate("a").may_write()


async def test_who_renews_stays_in_charge(election: Election) -> None:
    a, b = election.candidate("a"), election.candidate("b")
    for _ in range(20):
        await a.step()
        await b.step()
        election.time += 5

    assert a.may_write()
    assert election.spec["leaseTransitions"] == 0


async def test_a_renewal_is_one_request(election: Election) -> None:
    a = election.candidate("a")
    await a.step()
    before = len(election.api.calls)
    await a.step()

    assert [call.verb for call in election.api.calls[before:]] == ["replace"]


async def test_who_cannot_renew_stops_before_another_may_begin(election: Election) -> None:
    a = election.candidate("a")
    await a.step()
    election.time += DEADLINE

    assert not a.may_write()
    assert DEADLINE < DURATION


async def test_another_takes_over_when_the_lease_has_run_out_and_not_before(election: Election) -> None:
    a, b = election.candidate("a"), election.candidate("b")
    await a.step()
    await b.step()
    election.time += DURATION
    assert not await b.step()
    election.time += 0.1
    assert await b.step()

    assert election.spec["holderIdentity"] == "b"
    assert election.spec["leaseTransitions"] == 1


async def test_a_wrong_wall_clock_in_the_lease_means_nothing(election: Election) -> None:
    a, b = election.candidate("a"), election.candidate("b")
    await a.step()
    election.api.edit(KEY, lambda lease: lease["spec"].update(renewTime="1970-01-01T00:00:00.000000Z"))

    assert not await b.step()


async def test_who_comes_back_from_a_pause_finds_out(election: Election) -> None:
    a, b = election.candidate("a"), election.candidate("b")
    await a.step()
    await b.step()
    election.time += DURATION + 1
    await b.step()

    assert not a.may_write()
    assert not await a.step()
    assert not await a.step()
    assert (a.may_write(), b.may_write()) == (False, True)


async def test_release_hands_over_at_once(election: Election) -> None:
    a, b = election.candidate("a"), election.candidate("b")
    await a.step()
    await b.step()
    await a.release()

    assert not a.may_write()
    assert await b.step()
    assert b.may_write()


async def test_who_is_not_in_charge_has_nothing_to_release(election: Election) -> None:
    a, b = election.candidate("a"), election.candidate("b")
    await a.step()
    await b.step()
    await b.release()

    assert election.spec["holderIdentity"] == "a"


async def test_a_release_does_not_take_the_lease_from_who_got_it_since(election: Election) -> None:
    a, b = election.candidate("a"), election.candidate("b")
    await a.step()
    election.api.edit(KEY, lambda lease: lease["spec"].update(holderIdentity="b"))
    await a.release()

    assert election.spec["holderIdentity"] == "b"
    assert not b.may_write()


async def test_an_outage_ends_the_lead_and_the_end_of_the_outage_brings_it_back(election: Election) -> None:
    a = election.candidate("a")
    await a.step()
    election.api.fail(lambda: Unavailable("down"), times=5)
    for _ in range(5):
        election.time += 3
        assert not await a.step()
    assert not a.may_write()
    election.time += 3

    assert await a.step()
    assert a.may_write()


async def test_a_renewal_whose_answer_was_lost_is_no_loss(election: Election) -> None:
    a = election.candidate("a")
    await a.step()
    election.api.fail(lambda: Unavailable("no answer"), "after")
    await a.step()
    election.time += 5

    assert await a.step()


async def test_the_lead_counts_from_the_request_and_not_from_its_slow_answer(
    election: Election, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = election.candidate("a")
    await a.step()
    replace = election.api.replace

    async def slow(key: Key, body: Body) -> Body:
        election.time += 4
        return await replace(key, body)

    monkeypatch.setattr(election.api, "replace", slow)
    assert await a.step()
    election.time += DEADLINE - 4

    assert not a.may_write()


async def test_the_gain_and_the_loss_of_the_lead_are_announced_once(election: Election) -> None:
    announced: list[bool] = []
    a = election.candidate("a", announce=announced.append)
    await a.step()
    await a.step()
    assert announced == [True]

    election.api.fail(lambda: Unavailable("down"))
    election.time += DEADLINE
    await a.step()
    assert announced == [True, False]


async def test_a_process_that_hangs_does_not_renew_so_that_another_may_lead(election: Election) -> None:
    fit = True
    a, b = election.candidate("a", is_fit=lambda: fit), election.candidate("b")
    await a.step()
    await b.step()
    fit = False
    for _ in range(4):
        election.time += 5
        await a.step()
        await b.step()

    assert (a.may_write(), b.may_write()) == (False, True)


async def test_how_long_somebody_leads_is_counted_from_when_it_began(election: Election) -> None:
    a = election.candidate("a")
    assert a.leading_for() == 0
    await a.step()
    election.time += 4
    await a.step()
    election.time += 4

    assert a.leading_for() == 8


async def test_who_finds_anothers_name_on_the_lease_stops_at_once(election: Election) -> None:
    a = election.candidate("a")
    await a.step()
    election.api.edit(KEY, lambda lease: lease["spec"].update(holderIdentity="by hand"))
    await a.step()
    await a.step()

    assert not a.may_write()


async def test_a_lease_that_somebody_deleted_is_made_again(election: Election) -> None:
    a = election.candidate("a")
    await a.step()
    election.api.drop(KEY)
    await a.step()

    assert await a.step()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["step", "step", "release", "lost", "down"]),
        st.floats(0, 8),
    ),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=300)
def test_never_do_two_write(steps: list[tuple[str, str, float]]) -> None:
    async def play() -> None:
        election = Election()
        candidates = {name: election.candidate(name) for name in "abc"}
        for name, what, pause in steps:
            election.api.faults.clear()
            if what == "lost":
                election.api.fail(lambda: Unavailable("no answer"), "after")
            elif what == "down":
                election.api.fail(lambda: Unavailable("down"))
            if what == "release":
                await candidates[name].release()
            else:
                await candidates[name].step()
            assert sum(candidate.may_write() for candidate in candidates.values()) <= 1
            election.time += pause
            assert sum(candidate.may_write() for candidate in candidates.values()) <= 1

    asyncio.run(play())
