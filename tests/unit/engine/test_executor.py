"""A plan is carried out in its order, only where it changes something, and never on somebody else's object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from fakes.api import Crash, FakeApi, Fault
from fakes.objects import MAPS, config_map, map_key, toy, toy_key

from modelwright.engine.cache import Cache
from modelwright.engine.errors import (
    ApiError,
    Conflict,
    Denied,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotLeader,
    Retryable,
    Unavailable,
)
from modelwright.engine.executor import APPLIED_HASH, FRESH, Executor
from modelwright.engine.metrics import Metrics
from modelwright.engine.objects import ROOT_UID, Body, Key, owned_by, uid
from modelwright.engine.plan import (
    ABSENT,
    Annotate,
    Apply,
    Confirm,
    Count,
    Create,
    Delete,
    Effect,
    Event,
    Plan,
)
from modelwright.engine.refusal import REFUSALS

KEY, CHILD = toy_key(), map_key()


@dataclass
class Told:
    """A recorder that notes what was said, and after how many requests."""

    api: FakeApi
    events: list[tuple[str, int]] = field(default_factory=list)

    async def record(self, about: Body, event: Event) -> None:
        self.events.append((event.reason, len(self.api.writes)))


class World:
    """An API server with one toy in it, and an operator that has seen it."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.leading = True
        self.toy = self.api.put(KEY, toy())
        self.restart()

    def restart(self) -> None:
        """A new process: it knows what is listed and nothing else."""
        self.cache, self.shown = Cache(), len(self.api.history)
        self.told = Told(self.api)
        self.time = 0.0
        self.counted: list[Count] = []
        self.executor = Executor(
            self.api,
            self.cache,
            self.told,
            lambda: self.leading,
            lambda: self.time,
            count=self.counted.append,
        )
        for key, body in self.api.objects.items():
            self.cache.put(key.resource, body)

    def watch(self) -> None:
        """Shows the operator what has happened."""
        for event in self.api.history[self.shown :]:
            show = self.cache.remove if event.change == "DELETED" else self.cache.put
            show(event.resource, event.body)
        self.shown = len(self.api.history)

    async def run(self, *effects: Effect, **plan: Any) -> bool:
        return await self.executor.execute(KEY, Plan(effects=effects, **plan))

    def wanted(self, **data: str) -> Body:
        return config_map(CHILD, self.toy, **data)

    def wanted_as(self, name: str) -> Body:
        return config_map(map_key(name), self.toy)

    def labelled(self, **data: str) -> Body:
        """A child that says by label for which toy it is there."""
        wanted = self.wanted(**data)
        meta = {**wanted["metadata"], "labels": {**wanted["metadata"]["labels"], "toy": "churn"}}
        return {**wanted, "metadata": meta}

    def orphan(self, *, made_for: str, toy: str = "churn") -> None:
        """The child is there, and nobody controls it."""
        body = self.labelled(a="1")
        names = {**body["metadata"]["labels"], ROOT_UID: made_for, "toy": toy}
        self.api.put(CHILD, {**body, "metadata": {"labels": names}})
        self.watch()

    def refuse(self, error: ApiError) -> None:
        """The API server says no to the next write."""
        self.api.fail(lambda: error)

    def live(self, key: Key = CHILD) -> Body:
        return self.api.objects[key]

    def refusal(self) -> tuple[Key, str, str]:
        """What the API server would not do for the toy."""
        (found,) = self.cache.fact(KEY, REFUSALS)
        return found.object, found.kind, found.message

    def verbs(self) -> list[str]:
        return [call.verb for call in self.api.writes]


@pytest.fixture
def world() -> World:
    return World()


class TestOrder:
    async def test_events_come_first_then_the_status_then_the_effects(self, world: World) -> None:
        plan = Plan(
            status={"state": "x"}, events=(Event("Normal", "E", ""),), effects=(Apply(CHILD, world.wanted()),)
        )
        await world.executor.execute(KEY, plan)

        assert world.told.events == [("E", 0)]
        assert world.verbs() == ["apply_status", "apply"]

    async def test_an_object_that_is_gone_gets_no_events_and_no_status(self, world: World) -> None:
        world.cache.gone(KEY, uid(world.toy))
        wrote = await world.run(status={"state": "x"}, events=(Event("Normal", "E", ""),))

        assert (wrote, world.told.events, world.verbs()) == (False, [], [])

    async def test_the_children_of_an_object_that_turns_out_to_be_gone_are_not_made(
        self, world: World
    ) -> None:
        world.api.drop(KEY)
        await world.run(Apply(CHILD, world.wanted()), status={"state": "x"})

        assert CHILD not in world.api.objects
        assert world.cache.get(KEY) is None

    async def test_an_effect_that_fails_keeps_the_next_from_being_tried(self, world: World) -> None:
        world.api.fail(lambda: Unavailable("down"))
        with pytest.raises(Unavailable):
            await world.run(Apply(CHILD, world.wanted()), Apply(map_key("next"), world.wanted()))

        assert world.verbs() == ["apply"]


class TestStatus:
    async def test_is_written_once(self, world: World) -> None:
        assert await world.run(status={"state": "x"})
        assert not await world.run(status={"state": "x"})
        assert world.verbs() == ["apply_status"]

    async def test_is_not_written_when_only_nulls_differ(self, world: World) -> None:
        await world.run(status={"state": "x"})

        assert not await world.run(status={"state": "x", "message": None})

    async def test_loses_a_field_that_is_no_longer_said(self, world: World) -> None:
        await world.run(status={"state": "x", "message": "m"})
        await world.run(status={"state": "x"})

        assert world.live(KEY)["status"] == {"state": "x"}

    async def test_conditions_are_merged_by_type(self, world: World) -> None:
        await world.run(status={"conditions": [{"type": "Ready", "status": "False"}, {"type": "Stalled"}]})
        await world.run(status={"conditions": [{"type": "Ready", "status": "True"}]})

        assert world.live(KEY)["status"] == {"conditions": [{"type": "Ready", "status": "True"}]}

    async def test_is_in_the_cache_before_any_watch_shows_it(self, world: World) -> None:
        await world.run(status={"state": "x"})

        held = world.cache.get(KEY)
        assert held is not None
        assert held["status"] == {"state": "x"}

    async def test_that_somebody_else_added_to_is_not_fought_over(self, world: World) -> None:
        world.api.edit(KEY, lambda body: body.update(status={"note": "by hand"}))
        world.watch()

        assert await world.run(status={"state": "x"})
        assert not await world.run(status={"state": "x"})
        assert world.live(KEY)["status"] == {"note": "by hand", "state": "x"}

    async def test_is_not_written_to_an_object_of_the_same_name_that_came_later(self, world: World) -> None:
        world.api.drop(KEY)
        world.api.put(KEY, toy())
        with pytest.raises(Conflict):
            await world.run(status={"state": "x"})

        assert "status" not in world.live(KEY)


class TestApply:
    async def test_makes_the_child(self, world: World) -> None:
        assert await world.run(Apply(CHILD, world.wanted(a="1")))
        assert world.live()["data"] == {"a": "1"}

    async def test_a_new_child_costs_one_request(self, world: World) -> None:
        await world.run(Apply(CHILD, world.wanted(a="1")))

        assert [call.verb for call in world.api.calls] == ["apply"]

    async def test_a_child_of_ours_that_was_not_seen_yet_is_found_and_not_written_blindly(
        self, world: World
    ) -> None:
        world.api.put(CHILD, world.wanted(a="old"))  # the watch has not shown it
        assert await world.run(Apply(CHILD, world.wanted(a="1")))
        assert world.live()["data"] == {"a": "old"}

        assert await world.run(Apply(CHILD, world.wanted(a="1")))
        assert world.live()["data"] == {"a": "1"}

    async def test_a_child_that_is_gone_again_before_it_is_read_is_made_by_the_next_look(
        self, world: World
    ) -> None:
        world.api.fail(lambda: Conflict("it is there"))
        with pytest.raises(Conflict):
            await world.run(Apply(CHILD, world.wanted(a="1")))
        await world.run(Apply(CHILD, world.wanted(a="1")))

        assert world.live()["data"] == {"a": "1"}

    async def test_sends_nothing_when_the_child_is_as_it_should_be(self, world: World) -> None:
        await world.run(Apply(CHILD, world.wanted(a="1")))
        requests = len(world.api.calls)

        assert not await world.run(Apply(CHILD, world.wanted(a="1")))
        assert len(world.api.calls) == requests

    async def test_sends_nothing_after_a_restart(self, world: World) -> None:
        await world.run(Apply(CHILD, world.wanted(a="1")))
        world.restart()

        assert not await world.run(Apply(CHILD, world.wanted(a="1")))

    async def test_a_field_that_is_no_longer_wanted_goes(self, world: World) -> None:
        await world.run(Apply(CHILD, world.wanted(a="1", b="2")))
        await world.run(Apply(CHILD, world.wanted(a="1")))

        assert world.live()["data"] == {"a": "1"}

    async def test_a_child_that_was_changed_by_hand_is_repaired(self, world: World) -> None:
        await world.run(Apply(CHILD, world.wanted(a="1")))
        world.api.edit(CHILD, lambda body: body["data"].update(a="by hand"))
        world.watch()

        assert await world.run(Apply(CHILD, world.wanted(a="1")))
        assert world.live()["data"] == {"a": "1"}

    async def test_what_others_add_to_a_child_is_left_alone(self, world: World) -> None:
        await world.run(Apply(CHILD, world.wanted(a="1")))
        world.api.edit(CHILD, lambda body: body["data"].update(other="x"))
        world.watch()

        assert not await world.run(Apply(CHILD, world.wanted(a="1")))
        assert world.live()["data"] == {"a": "1", "other": "x"}

    async def test_a_field_that_the_api_server_keeps_in_its_own_way_is_written_once(
        self, world: World
    ) -> None:
        original = world.api._store

        def lowering(change: Any, key: Key, body: dict[str, Any]) -> dict[str, Any]:
            body["data"] = {name: value.lower() for name, value in body["data"].items()}
            return original(change, key, body)

        world.api._store = lowering  # type: ignore[method-assign]
        await world.run(Apply(CHILD, world.wanted(mode="Auto")))

        assert not await world.run(Apply(CHILD, world.wanted(mode="Auto")))
        world.api.edit(CHILD, lambda body: body["metadata"]["labels"].update(touched="yes"))
        world.watch()
        assert not await world.run(Apply(CHILD, world.wanted(mode="Auto")))
        world.api.edit(CHILD, lambda body: body["data"].update(mode="off"))
        world.watch()
        assert await world.run(Apply(CHILD, world.wanted(mode="Auto")))

    async def test_a_strangers_object_of_that_name_is_an_error(self, world: World) -> None:
        world.api.put(CHILD, {"data": {"mine": "x"}})  # no label: no watch shows it
        await world.run(Apply(CHILD, world.wanted(a="1")))

        assert world.refusal() == (
            CHILD,
            "NameTaken",
            "ConfigMap churn exists already and belongs to somebody else",
        )
        assert world.live()["data"] == {"mine": "x"}

    async def test_another_objects_child_of_that_name_is_an_error(self, world: World) -> None:
        other = world.api.put(toy_key("other"), toy())
        world.api.put(CHILD, config_map(CHILD, other, a="1"))
        world.watch()
        await world.run(Apply(CHILD, world.wanted(a="1")))

        assert world.refusal()[1] == "NameTaken"

    async def test_a_shared_object_is_ours_by_label(self, world: World) -> None:
        world.api.put(CHILD, config_map(CHILD, a="old"))

        assert await world.run(Apply(CHILD, config_map(CHILD, a="new"))), "it is found"
        assert await world.run(Apply(CHILD, config_map(CHILD, a="new")))
        assert world.live()["data"] == {"a": "new"}

    async def test_a_shared_name_without_our_label_is_a_strangers(self, world: World) -> None:
        world.api.put(CHILD, {"data": {}})
        await world.run(Apply(CHILD, config_map(CHILD)))

        assert world.refusal()[1] == "NameTaken"

    async def test_a_child_that_went_unseen_is_noticed_and_made_by_the_next_look(self, world: World) -> None:
        await world.run(Apply(CHILD, world.wanted(a="1")))
        world.api.drop(CHILD)
        with pytest.raises(Conflict):
            await world.run(Apply(CHILD, world.wanted(a="2")))
        await world.run(Apply(CHILD, world.wanted(a="2")))

        assert world.live()["data"] == {"a": "2"}

    async def test_a_child_that_somebody_else_replaced_unseen_is_not_taken(self, world: World) -> None:
        await world.run(Apply(CHILD, world.wanted(a="1")))
        world.api.drop(CHILD)
        world.api.put(CHILD, {"data": {"mine": "x"}})
        with pytest.raises(Conflict):
            await world.run(Apply(CHILD, world.wanted(a="2")))
        await world.run(Apply(CHILD, world.wanted(a="2")))

        assert world.refusal()[1] == "NameTaken"
        assert world.live()["data"] == {"mine": "x"}

    async def test_a_child_that_is_being_deleted_is_waited_for(self, world: World) -> None:
        await world.run(Apply(CHILD, world.wanted(a="1")))
        world.api.edit(CHILD, lambda body: body["metadata"].update(deletionTimestamp="x", finalizers=["f"]))
        world.watch()
        with pytest.raises(Retryable, match="being deleted"):
            await world.run(Apply(CHILD, world.wanted(a="2")))

    async def test_an_api_server_that_does_not_answer_is_an_error_in_its_words(self, world: World) -> None:
        world.api.fail(lambda: Unavailable("try again"))
        with pytest.raises(Unavailable, match="try again"):
            await world.run(Apply(CHILD, world.wanted()))

    async def test_the_hash_says_what_was_applied(self, world: World) -> None:
        await world.run(Apply(CHILD, world.wanted(a="1")))
        first = world.live()["metadata"]["annotations"][APPLIED_HASH]
        await world.run(Apply(CHILD, world.wanted(a="2")))

        assert world.live()["metadata"]["annotations"][APPLIED_HASH] != first


class TestCreate:
    async def test_makes_the_object_once(self, world: World) -> None:
        assert await world.run(Create(CHILD, world.wanted(a="1")))
        assert not await world.run(Create(CHILD, world.wanted(a="2")))
        assert world.live()["data"] == {"a": "1"}

    async def test_takes_its_own_object_that_it_had_not_seen_yet(self, world: World) -> None:
        world.api.put(CHILD, world.wanted(a="1"))
        await world.run(Create(CHILD, world.wanted(a="2")))

        held = world.cache.get(CHILD)
        assert held is not None
        assert held["data"] == {"a": "1"}

    @pytest.mark.parametrize("seen", [True, False])
    async def test_somebody_elses_object_of_that_name_is_an_error(self, world: World, *, seen: bool) -> None:
        world.api.put(CHILD, {"data": {}})
        if seen:
            world.watch()
        await world.run(Create(CHILD, world.wanted(a="1")))

        assert world.refusal()[1] == "NameTaken"

    async def test_a_shared_object_may_be_anybodys(self, world: World) -> None:
        world.api.put(CHILD, {"data": {"mine": "x"}})
        await world.run(Create(CHILD, config_map(CHILD, a="1"), shared=True))

        assert not await world.run(Create(CHILD, config_map(CHILD, a="1"), shared=True))
        assert world.live()["data"] == {"mine": "x"}

    async def test_what_an_earlier_owner_of_the_same_name_left_is_waited_for(self, world: World) -> None:
        earlier = {**world.toy, "metadata": {**world.toy["metadata"], "uid": "earlier"}}
        world.api.put(CHILD, config_map(CHILD, earlier, a="1"))
        with pytest.raises(Retryable, match="belongs to an earlier"):
            await world.run(Create(CHILD, world.wanted(a="1")))

    async def test_a_create_whose_answer_was_lost_is_found_done(self, world: World) -> None:
        world.api.fail(lambda: Unavailable("no answer"), "after")
        with pytest.raises(Unavailable):
            await world.run(Create(CHILD, world.wanted(a="1")))
        await world.run(Create(CHILD, world.wanted(a="1")))

        assert len([key for key in world.api.objects if key.resource == MAPS]) == 1


class TestRefusals:
    """What the API server refuses is a fact about the object, and nothing else waits for it."""

    @pytest.mark.parametrize("error", [Invalid, Denied, Forbidden, NamespaceTerminating])
    async def test_is_kept_in_the_api_servers_words_and_told_once(
        self, world: World, error: type[ApiError]
    ) -> None:
        world.refuse(error("spec.replicas: must be positive"))
        await world.run(Apply(CHILD, world.wanted()))
        await world.run(Apply(CHILD, world.wanted()))

        assert world.refusal() == (CHILD, error.__name__, "spec.replicas: must be positive")
        assert [reason for reason, _ in world.told.events] == ["ApplyFailed"]

    async def test_the_effects_after_it_are_carried_out(self, world: World) -> None:
        world.refuse(Forbidden("quota"))
        await world.run(Apply(CHILD, world.wanted()), Apply(map_key("next"), world.wanted_as("next")))

        assert map_key("next") in world.api.objects
        assert world.refusal()[0] == CHILD

    async def test_is_tried_again_within_a_minute_and_not_at_each_look(self, world: World) -> None:
        world.refuse(Forbidden("quota"))
        await world.run(Apply(CHILD, world.wanted()))
        world.api.faults.clear()
        requests = len(world.api.calls)
        await world.run(Apply(CHILD, world.wanted()))

        assert len(world.api.calls) == requests
        retry_in = world.executor.retry_in(KEY)
        assert retry_in is not None
        assert 0 < retry_in <= 60
        world.time += retry_in
        await world.run(Apply(CHILD, world.wanted()))
        assert CHILD in world.api.objects
        assert world.cache.fact(KEY, REFUSALS) is None
        assert world.executor.retry_in(KEY) is None

    async def test_another_manifest_is_sent_at_once(self, world: World) -> None:
        world.refuse(Invalid("a: too long"))
        await world.run(Apply(CHILD, world.wanted(a="1")))
        world.api.faults.clear()
        await world.run(Apply(CHILD, world.wanted(a="2")))

        assert world.live()["data"] == {"a": "2"}

    async def test_numbers_that_change_are_no_news(self, world: World) -> None:
        for used in (3, 4):
            world.refuse(Forbidden(f"exceeded quota: used {used}"))
            await world.run(Apply(CHILD, world.wanted()))
            world.time += 600

        assert world.refusal()[2] == "exceeded quota: used 3"
        assert len(world.told.events) == 1

    async def test_a_strangers_object_does_not_stay_in_the_cache(self, world: World) -> None:
        world.api.put(CHILD, {"data": {"mine": "x"}})
        await world.run(Apply(CHILD, world.wanted()))
        world.api.drop(CHILD)
        world.time += 60

        assert world.cache.get(CHILD) is None
        assert await world.run(Apply(CHILD, world.wanted(a="1")))
        assert world.live()["data"] == {"a": "1"}


class TestOrphans:
    """What a backup tool brings back: our labels, and no reference to the owner."""

    async def test_one_that_was_made_for_an_owner_that_is_gone_is_adopted(self, world: World) -> None:
        world.orphan(made_for="gone")

        assert await world.run(Apply(CHILD, world.labelled(a="2")))
        assert world.live()["data"] == {"a": "2"}
        assert owned_by(world.live(), world.toy)
        assert world.cache.fact(KEY, REFUSALS) is None

    async def test_one_that_was_made_for_this_owner_is_adopted(self, world: World) -> None:
        world.orphan(made_for=uid(world.toy))

        assert await world.run(Apply(CHILD, world.labelled(a="2")))
        assert owned_by(world.live(), world.toy)

    async def test_one_that_was_made_for_another_that_is_there_is_not(self, world: World) -> None:
        other = world.api.put(toy_key("other"), toy())
        world.watch()
        world.orphan(made_for=uid(other))
        await world.run(Apply(CHILD, world.labelled(a="2")))

        assert world.refusal()[1] == "NameTaken"

    async def test_one_with_the_label_of_another_name_is_not(self, world: World) -> None:
        world.orphan(made_for="gone", toy="other")
        await world.run(Apply(CHILD, world.labelled(a="2")))

        assert world.refusal()[1] == "NameTaken"


class TestConfirm:
    """A verdict from absence asks the API server first."""

    async def test_what_is_not_there_becomes_a_fact_at_the_cost_of_one_request(self, world: World) -> None:
        assert await world.run(Confirm(CHILD))
        assert world.cache.fact(KEY, ABSENT) == {CHILD}
        requests = len(world.api.calls)

        assert not await world.run(Confirm(CHILD))
        assert len(world.api.calls) == requests

    async def test_what_is_there_comes_into_the_cache(self, world: World) -> None:
        world.api.put(CHILD, config_map(CHILD, world.toy, a="1"))

        assert await world.run(Confirm(CHILD))
        assert world.cache.get(CHILD) is not None
        assert world.cache.fact(KEY, ABSENT) is None

    async def test_the_fact_goes_with_the_plan_that_wanted_it(self, world: World) -> None:
        await world.run(Confirm(CHILD))
        await world.run()

        assert world.cache.fact(KEY, ABSENT) is None


class TestRestsOn:
    """Before something is lost, the API server is asked once more for what may need it, and the plan is made again."""

    @staticmethod
    async def given_child(world: World) -> Delete:
        await world.run(Apply(CHILD, world.wanted(a="1")))
        world.api.calls.clear()
        return Delete(CHILD, uid(world.live()), rests_on=(MAPS,))

    async def test_what_the_watch_has_not_shown_comes_into_the_cache_first(self, world: World) -> None:
        delete = await self.given_child(world)
        unseen = map_key("unseen")
        world.api.put(unseen, config_map(unseen, world.toy, a="1"))

        assert await world.run(delete)
        assert world.cache.get(unseen) is not None
        assert [call.verb for call in world.api.calls] == ["list"]
        assert CHILD in world.api.objects, "the next plan decides"

        assert await world.run(delete)
        assert CHILD not in world.api.objects

    async def test_a_plan_that_no_longer_wants_it_ends_it(self, world: World) -> None:
        delete = await self.given_child(world)

        await world.run(delete)
        await world.run()
        await world.run(delete)

        assert [call.verb for call in world.api.calls] == ["list", "list"]

    async def test_what_was_read_long_ago_is_read_again(self, world: World) -> None:
        delete = await self.given_child(world)

        await world.run(delete)
        world.time += FRESH + 1
        await world.run(delete)

        assert [call.verb for call in world.api.calls] == ["list", "list"]

    async def test_several_effects_of_a_plan_need_one_reading(self, world: World) -> None:
        delete = await self.given_child(world)
        other = map_key("other")
        create = Create(other, config_map(other, world.toy, a="1"), rests_on=(MAPS,))

        await world.run(delete, create)
        await world.run(delete, create)

        assert [call.verb for call in world.api.calls] == ["list", "delete", "create"]

    async def test_a_refusal_stands_while_it_is_read_again(self, world: World) -> None:
        delete = await self.given_child(world)
        world.api.faults.append(Fault(lambda: Forbidden("no"), times=2, verbs=frozenset({"delete"})))
        await world.run(delete)
        await world.run(delete)
        refused = world.cache.fact(KEY, REFUSALS)
        assert refused

        assert not await world.run(delete), "it is held: no request"
        world.time += 120
        assert not await world.run(delete)
        assert world.cache.fact(KEY, REFUSALS) == refused
        await world.run(delete)

        assert [call.verb for call in world.api.calls] == ["list", "delete", "list", "delete"]


class TestAnnotate:
    """Notes on objects that others make, such as the pods of a Deployment."""

    @staticmethod
    def somebody_elses(world: World) -> Body:
        body = world.api.put(CHILD, {"metadata": {"annotations": {"kept": "yes"}}, "data": {"a": "1"}})
        world.watch()
        return body

    @pytest.mark.parametrize(("by_status", "verb"), [(False, "patch"), (True, "patch_status")])
    async def test_a_note_is_written_once_and_nothing_else_changes(
        self, world: World, by_status: bool, verb: str
    ) -> None:
        other = self.somebody_elses(world)
        note = Annotate(CHILD, uid(other), {"note": "new"}, by_status)

        assert await world.run(note)
        assert not await world.run(note)

        live = world.live()
        assert live["metadata"]["annotations"] == {"kept": "yes", "note": "new"}
        assert live["data"] == {"a": "1"}
        assert world.verbs() == [verb]

    async def test_another_object_of_that_name_is_left_alone(self, world: World) -> None:
        self.somebody_elses(world)
        assert not await world.run(Annotate(CHILD, "another", {"note": "new"}))
        assert world.verbs() == []

    async def test_an_object_that_has_gone_unseen_is_nobodys_error(self, world: World) -> None:
        other = self.somebody_elses(world)
        world.api.drop(CHILD)
        assert not await world.run(Annotate(CHILD, uid(other), {"note": "new"}))
        assert world.cache.get(CHILD) is None

    async def test_who_does_not_lead_writes_no_note(self, world: World) -> None:
        other = self.somebody_elses(world)
        world.leading = False
        with pytest.raises(NotLeader):
            await world.run(Annotate(CHILD, uid(other), {"note": "new"}))


class TestDelete:
    async def given_child(self, world: World) -> str:
        await world.run(Apply(CHILD, world.wanted(a="1")))
        return uid(world.live())

    async def test_removes_the_object_and_knows_it_at_once(self, world: World) -> None:
        child = await self.given_child(world)

        assert await world.run(Delete(CHILD, child))
        assert CHILD not in world.api.objects
        assert world.cache.get(CHILD) is None

    async def test_leaves_an_object_of_the_same_name_that_came_later(self, world: World) -> None:
        child = await self.given_child(world)
        world.api.drop(CHILD)
        world.api.put(CHILD, world.wanted(a="2"))
        await world.run(Delete(CHILD, child))

        assert world.live()["data"] == {"a": "2"}
        assert world.cache.get(CHILD) is not None, "and has learnt of it"

    async def test_leaves_a_version_that_the_planner_has_not_seen(self, world: World) -> None:
        child = await self.given_child(world)
        planned_for = world.live()["metadata"]["resourceVersion"]
        world.api.edit(CHILD, lambda body: body["data"].update(a="2"))

        assert await world.run(Delete(CHILD, child, planned_for))
        assert world.live()["data"] == {"a": "2"}
        known = world.cache.get(CHILD)
        assert known is not None
        assert known["data"] == {"a": "2"}, "and has learnt of it"

        assert await world.run(Delete(CHILD, child, world.live()["metadata"]["resourceVersion"]))
        assert CHILD not in world.api.objects

    async def test_of_what_is_gone_already_is_fine(self, world: World) -> None:
        child = await self.given_child(world)
        world.api.drop(CHILD)
        await world.run(Delete(CHILD, child))

        assert world.cache.get(CHILD) is None

    async def test_is_not_asked_for_twice_while_a_finalizer_holds_the_object(self, world: World) -> None:
        child = await self.given_child(world)
        world.api.edit(CHILD, lambda body: body["metadata"].update(finalizers=["hold"]))
        world.watch()

        assert await world.run(Delete(CHILD, child))
        assert not await world.run(Delete(CHILD, child))
        assert world.verbs().count("delete") == 1


class TestLeadership:
    @pytest.mark.parametrize(
        "plan",
        [
            Plan(status={"state": "x"}),
            Plan(events=(Event("Normal", "E", ""),)),
            Plan(effects=(Create(CHILD, config_map(CHILD)),)),
            Plan(effects=(Apply(CHILD, config_map(CHILD)),)),
            Plan(effects=(Delete(CHILD, "u"),)),
        ],
        ids=["status", "event", "create", "apply", "delete"],
    )
    async def test_nothing_is_sent_without_it(self, world: World, plan: Plan) -> None:
        world.leading = False
        with pytest.raises(NotLeader):
            await world.executor.execute(KEY, plan)

        assert world.api.calls == []
        assert world.told.events == []

    async def test_what_needs_no_write_needs_no_leadership(self, world: World) -> None:
        await world.run(Apply(CHILD, world.wanted()), status={"state": "x"})
        world.leading = False

        assert not await world.run(Apply(CHILD, world.wanted()), status={"state": "x"})


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("skip", range(4))
async def test_a_crash_at_any_write_leaves_what_the_next_process_completes(
    world: World, moment: Any, skip: int
) -> None:
    second = map_key("second")
    plan = Plan(
        status={"state": "x"},
        effects=(
            Apply(CHILD, world.wanted(a="1")),
            Create(second, {**world.wanted(), "metadata": {**world.wanted()["metadata"], "name": "second"}}),
        ),
    )
    world.api.fail(Crash, moment, skip=skip)
    if skip < 3:
        with pytest.raises(Crash):
            await world.executor.execute(KEY, plan)
    world.restart()
    while await world.executor.execute(KEY, plan):
        pass

    assert world.live(KEY)["status"] == {"state": "x"}
    assert world.live()["data"] == {"a": "1"}
    assert second in world.api.objects


async def test_what_a_plan_counts_is_counted_once_its_status_is_written(world: World) -> None:
    count = Count("modelwright_retraining_decisions", ("Drift", "Started", "Drift"))
    world.refuse(Unavailable("down"))
    with pytest.raises(Unavailable):
        await world.run(status={"state": "x"}, counts=(count,))
    assert world.counted == []

    await world.run(status={"state": "x"}, counts=(count,))
    await world.run(status={"state": "x"}, counts=(count,))

    assert world.counted == [count]
    metrics = Metrics(("Toy",))
    metrics.counted(count)
    line = 'modelwright_retraining_decisions_total{outcome="Started",reason="Drift",trigger="Drift"} 1.0'
    assert line in metrics.text().decode()
