"""The order of the versions of a model, its Champion, and the aliases."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from unit.given import words

from modelwright.common.families import MOST_ALIASES, aliases, champion, led_by, oldest_first
from modelwright.common.indexes import INDEXES
from modelwright.common.resources import INFERENCE_SERVICES, MODEL_VERSIONS
from modelwright.engine.cache import Cache
from modelwright.engine.objects import Body, Key, name

MORNING, NOON, EVENING = (f"2026-01-01T{hour}:00:00Z" for hour in ("06", "12", "18"))


def a_run(number: int, created: str, job: str = "churn", **lineage: Any) -> Body:
    return by_hand(f"{job}-{number}", created, trainingJob=job, run=number, **lineage)


def by_hand(name: str, created: str, **lineage: Any) -> Body:
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {"model": "churn", **({"lineage": lineage} if lineage else {})},
    }


@pytest.mark.parametrize(
    ("versions", "order"),
    [
        pytest.param([a_run(1, MORNING), a_run(2, NOON)], ["churn-1", "churn-2"], id="as they were made"),
        pytest.param([a_run(9, NOON), a_run(10, NOON)], ["churn-9", "churn-10"], id="runs of one second"),
        pytest.param(
            [a_run(1, EVENING), a_run(3, MORNING), a_run(4, NOON)],
            ["churn-1", "churn-3", "churn-4"],
            id="the first run was restored last",
        ),
        pytest.param(
            [a_run(2, MORNING, completionTime=EVENING), a_run(3, MORNING, completionTime=NOON)],
            ["churn-2", "churn-3"],
            id="a clock that was wrong",
        ),
        pytest.param(
            [by_hand("hand", NOON), a_run(1, MORNING)], ["churn-1", "hand"], id="by hand, after the run"
        ),
        pytest.param(
            [by_hand("hand", MORNING), a_run(1, NOON)], ["hand", "churn-1"], id="by hand, before the run"
        ),
        pytest.param(
            [by_hand("a", EVENING, completionTime=MORNING), by_hand("b", MORNING, completionTime=NOON)],
            ["a", "b"],
            id="the time in the spec counts more than that of the object",
        ),
        pytest.param(
            [by_hand("a", MORNING, completionTime="2026-01-01T07:00:00+05:00"), by_hand("b", "2026-01-01T03:00:00Z")],
            ["a", "b"],
            id="times of two zones",
        ),
        pytest.param(
            [by_hand("a", NOON, completionTime="yesterday"), by_hand("b", MORNING)],
            ["b", "a"],
            id="a time that cannot be read",
        ),
        pytest.param(
            [by_hand("a", NOON, completionTime="2026-01-01T06:00:00"), by_hand("b", NOON)],
            ["a", "b"],
            id="a time without a zone is UTC",
        ),
        pytest.param(
            [a_run(7, EVENING, "old"), a_run(1, NOON, "new", completionTime=EVENING), a_run(8, MORNING, "old")],
            ["new-1", "old-7", "old-8"],
            id="of two TrainingJobs, at one time the higher run",
        ),
        pytest.param(
            [a_run(1, EVENING, "a"), a_run(2, MORNING, "a"), a_run(1, NOON, "b")],
            ["b-1", "a-1", "a-2"],
            id="no run is older than one before it, beside another TrainingJob too",
        ),
    ],
)  # fmt: skip
def test_versions_have_one_order_however_they_are_listed(versions: list[Body], order: list[str]) -> None:
    for listed in itertools.permutations(versions):
        assert [version["metadata"]["name"] for version in oldest_first(listed)] == order


def a_version(run: int, *, ready: bool = True, model: str = "churn", **meta: Any) -> tuple[Any, Body]:
    version = f"{model}-{run}"
    status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
    spec = {
        "model": model, "artifact": words.artifact(model), "lineage": {"trainingJob": model, "run": run},
    }  # fmt: skip
    return MODEL_VERSIONS, {"metadata": _meta(version, **meta), "spec": spec, "status": status}


def a_service(service: str, track: str = "Latest", **roles: Any) -> tuple[Any, Body]:
    """A service, with the version or the revision of each role."""
    status = {role: {"version": each} if isinstance(each, str) else each for role, each in roles.items()}
    spec = {"model": {"name": "churn", "track": track}}
    return INFERENCE_SERVICES, {"metadata": _meta(service), "spec": spec, "status": status}


def _meta(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": "1", **more}


def a_view(*objects: tuple[Any, Body]) -> Cache:
    view = Cache(indexes=INDEXES)
    for resource, body in objects:
        view.put(resource, body)
    return view


def named(version: Body | None) -> str | None:
    return None if version is None else name(version)


def all_aliases(*objects: tuple[Any, Body]) -> dict[str, list[str]]:
    """The aliases of each version that has some."""
    view = a_view(*objects)
    found = {}
    for key in view.keys(MODEL_VERSIONS):
        version = view.get(key)
        assert version is not None
        ready = version["status"]["conditions"][0]["status"] == "True"
        found[key.name] = aliases(view, version, ready=ready)
    return {version: each for version, each in found.items() if each}


ONE, TWO, THREE = a_version(1), a_version(2), a_version(3)


class TestTheChampionOfANewRun:
    @pytest.mark.parametrize(
        ("services", "expected"),
        [
            ([], "churn-3"),
            ([a_service("a", stable="churn-1")], "churn-1"),
            ([a_service("a", stable="churn-1"), a_service("b", stable="churn-2")], "churn-2"),
            ([a_service("a", stable="churn-1", canary="churn-3")], "churn-1"),
            ([a_service("a", stable="other-1")], "churn-3"),
            ([a_service("a", "Champion", stable="churn-2")], "churn-2"),
        ],
    )
    def test_serves_or_else_is_the_newest_that_is_ready(
        self, services: list[tuple[Any, Body]], expected: str
    ) -> None:
        view = a_view(ONE, TWO, THREE, a_version(4, ready=False), a_version(9, model="other"), *services)
        assert named(champion(view, "team", "churn")) == expected

    def test_serves_though_it_is_no_longer_ready(self) -> None:
        view = a_view(a_version(1, ready=False), TWO, a_service("a", stable="churn-1"))
        assert named(champion(view, "team", "churn")) == "churn-1"

    def test_is_none_where_no_version_is_ready_or_it_was_deleted(self) -> None:
        view = a_view(a_version(1, ready=False), a_service("a", stable="churn-7"))
        assert champion(view, "team", "churn") is None
        assert champion(view, "elsewhere", "churn") is None

    def test_is_none_that_is_being_deleted_and_serves_nowhere(self) -> None:
        view = a_view(ONE, a_version(2, deletionTimestamp="2026-01-01T00:00:00Z"))
        assert named(champion(view, "team", "churn")) == "churn-1"


def test_services_that_follow_the_champion_do_not_follow_each_other() -> None:
    view = a_view(
        ONE, TWO, THREE, a_service("a", "Champion", stable="churn-3"), a_service("b", "Champion", stable="churn-2")
    )  # fmt: skip
    assert led_by(view, "team", "churn") is None
    view.put(*a_service("c", stable="churn-1"))
    assert named(led_by(view, "team", "churn")) == "churn-1"


class TestAliases:
    def test_of_one_service(self) -> None:
        service = a_service("shop", stable={"version": "churn-2", "previous": "churn-1"}, canary="churn-3")
        assert all_aliases(ONE, TWO, THREE, service) == {
            "churn-1": ["Previous"],
            "churn-2": ["Champion"],
            "churn-3": ["Challenger", "Latest"],
        }

    def test_a_version_that_is_not_ready_is_not_the_latest(self) -> None:
        assert all_aliases(ONE, TWO, a_version(3, ready=False)) == {"churn-2": ["Latest"]}

    def test_a_version_is_the_latest_with_the_status_that_makes_it_ready(self) -> None:
        view = a_view(ONE, a_version(2, ready=False))
        version = view.get(Key(MODEL_VERSIONS, "team", "churn-2"))
        assert version is not None
        assert aliases(view, version, ready=True) == ["Latest"]

    def test_services_that_agree_have_one_champion(self) -> None:
        services = (a_service("a", stable="churn-1"), a_service("b", "Champion", stable="churn-1"))
        assert all_aliases(ONE, *services) == {"churn-1": ["Champion", "Latest"]}

    def test_services_that_do_not_agree_are_named(self) -> None:
        services = (a_service("a", stable="churn-1"), a_service("b", stable="churn-2"))
        assert all_aliases(ONE, TWO, *services) == {
            "churn-1": ["Champion@a"],
            "churn-2": ["Champion", "Latest", "Champion@b"],
        }

    @pytest.mark.parametrize(
        ("roles", "expected"),
        [
            ({"canary": {"version": "churn-1", "state": "Failed"}}, []),
            ({"stable": "churn-1", "canary": {"version": "churn-1", "state": "Shifting"}}, ["Champion"]),
            ({"retired": "churn-1"}, ["Previous"]),
            ({"retired": {"version": "churn-1", "undone": True}}, []),
            ({"stable": {"version": "churn-2", "previous": "churn-1"}, "retired": "churn-9"}, ["Previous"]),
            ({"stable": "an older release", "canary": ["of any kind"]}, []),
        ],
        ids=str,
    )
    def test_of_a_version_beside_a_newer_one(self, roles: dict[str, Any], expected: list[str]) -> None:
        assert all_aliases(ONE, TWO, a_service("a", **roles)).get("churn-1", []) == expected

    def test_are_bounded(self) -> None:
        services = [a_service(f"shop-{place}", stable="churn-1") for place in range(40)]
        found = all_aliases(ONE, TWO, *services, a_service("other", stable="churn-2"))["churn-1"]
        assert len(found) == MOST_ALIASES
        assert found[0] == "Champion@shop-0"
