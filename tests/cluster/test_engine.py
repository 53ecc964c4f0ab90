"""The engine against a real API server, and the API server in memory against the same expectations."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fakes.api import FakeApi
from fakes.objects import MAPS, TOYS, config_map, toy
from fakes.places import Place, real_place
from support.kubectl import KUBECONFIG, Kubectl

from modelwright.engine.api import ABSENT_VERSION, MANAGED_BY, MANAGER
from modelwright.engine.cache import Cache, resource_version
from modelwright.engine.client import Client
from modelwright.engine.connection import configure
from modelwright.engine.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotFound,
)
from modelwright.engine.events import EventRecorder
from modelwright.engine.executor import Executor
from modelwright.engine.lease import LEASES, Elector
from modelwright.engine.objects import Body, Key, ResourceType, owner_reference, uid
from modelwright.engine.plan import Apply, Create, Delete, Event, Plan
from modelwright.engine.refusal import REFUSALS

DEPLOYMENTS = ResourceType("apps/v1", "Deployment", "deployments")
PODS = ResourceType("v1", "Pod", "pods")
# No node takes it, so nothing of it changes by itself.
POD = {
    "metadata": {"name": "p"},
    "spec": {
        "nodeName": "",
        "schedulerName": "none",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "c",
                "image": "registry.invalid/none:1",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}
READY = {
    "type": "Ready",
    "status": "True",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "reason": "Done",
    "message": "",
}


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.cluster)])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Every test with it runs against both."""
    if request.param == "fake":
        yield Place(FakeApi(), "shop")
        return
    async with real_place(request.getfixturevalue("kubectl")) as place:
        yield place


class TestApi:
    """What the engine expects of an API server."""

    async def test_what_is_made_can_be_read(self, place: Place) -> None:
        made = await place.make_map(a="1")

        assert await place.api.get(place.map()) == made
        assert made["data"] == {"a": "1"}
        assert uid(made)

    async def test_a_name_is_given_once(self, place: Place) -> None:
        await place.make_map()
        with pytest.raises(AlreadyExists):
            await place.make_map()

    async def test_what_is_not_there_is_not_found(self, place: Place) -> None:
        for request in (
            place.api.get(place.map()),
            place.api.delete(place.map(), uid="x"),
            place.api.patch(place.map(), {"data": {}}),
        ):
            with pytest.raises(NotFound):
                await request

    async def test_a_patch_of_the_status_annotates_a_pod_and_changes_no_spec(self, place: Place) -> None:
        pod = Key(PODS, place.namespace, "p")
        made = await place.api.create(pod, POD)
        evil = {"spec": {"containers": [{"name": "c", "image": "another:1"}], "activeDeadlineSeconds": 60}}
        noted = await place.api.patch_status(pod, {"metadata": {"annotations": {"note": "1"}}, **evil})

        assert noted["metadata"]["annotations"]["note"] == "1"
        assert noted["spec"]["containers"] == made["spec"]["containers"]
        assert "activeDeadlineSeconds" not in noted["spec"]
        assert (await place.api.get(pod))["spec"] == noted["spec"] == made["spec"]

    async def test_a_patch_of_the_status_of_another_uid_is_refused(self, place: Place) -> None:
        pod = Key(PODS, place.namespace, "p")
        await place.api.create(pod, POD)
        other = {"uid": "b3c5e3a0-0000-4000-8000-000000000000", "annotations": {"note": "1"}}
        with pytest.raises(Conflict):
            await place.api.patch_status(pod, {"metadata": other})

    async def test_apply_makes_what_is_not_there(self, place: Place) -> None:
        assert (await place.apply(a="1"))["data"] == {"a": "1"}

    async def test_apply_of_the_same_is_no_new_version(self, place: Place) -> None:
        first = await place.apply(a="1")

        assert resource_version(await place.apply(a="1")) == resource_version(first)
        assert resource_version(await place.apply(a="2")) > resource_version(first)

    async def test_apply_takes_back_what_it_no_longer_names(self, place: Place) -> None:
        await place.apply(a="1", b="2")

        assert (await place.apply(a="1"))["data"] == {"a": "1"}

    async def test_apply_leaves_what_others_set(self, place: Place) -> None:
        await place.apply(a="1")
        await place.apply("other", b="2")

        assert (await place.apply(a="3"))["data"] == {"a": "3", "b": "2"}

    async def test_apply_leaves_what_another_wants_as_well(self, place: Place) -> None:
        await place.apply(a="1", b="2")
        await place.apply("other", b="2")

        assert (await place.apply(a="1"))["data"] == {"a": "1", "b": "2"}

    async def test_apply_wins_over_an_edit_by_hand(self, place: Place) -> None:
        await place.apply(a="1")
        await place.api.patch(place.map(), {"data": {"a": "by hand"}})

        assert (await place.apply(a="1"))["data"] == {"a": "1"}

    async def test_apply_to_another_object_of_that_name_is_a_conflict(self, place: Place) -> None:
        await place.make_map()
        body = config_map(place.map(), a="1")
        body["metadata"]["uid"] = "b3c5e3a0-0000-4000-8000-000000000000"
        with pytest.raises(Conflict):
            await place.api.apply(place.map(), body, manager=MANAGER)

    async def test_apply_with_the_version_of_no_object_makes_a_new_one_and_touches_none_that_is_there(
        self, place: Place
    ) -> None:
        wanted = config_map(place.map(), a="1", b="2")
        wanted["metadata"]["resourceVersion"] = ABSENT_VERSION
        made = await place.api.apply(place.map(), wanted, manager=MANAGER)
        with pytest.raises(Conflict):
            await place.api.apply(place.map(), wanted, manager=MANAGER)
        with pytest.raises(Conflict):
            await place.api.apply(place.map(), {**wanted, "data": {"a": "2"}}, manager="other")

        assert resource_version(await place.api.get(place.map())) == resource_version(made)
        assert (await place.apply(a="1"))["data"] == {"a": "1"}, "its fields are those of the manager"

    async def test_apply_to_an_object_that_is_gone_does_not_make_a_new_one(self, place: Place) -> None:
        body = config_map(place.map(), a="1")
        body["metadata"]["uid"] = "b3c5e3a0-0000-4000-8000-000000000000"
        with pytest.raises(Conflict):
            await place.api.apply(place.map(), body, manager=MANAGER)
        with pytest.raises(NotFound):
            await place.api.get(place.map())

    async def test_an_object_has_one_controller(self, place: Place) -> None:
        body = config_map(place.map(), await place.make_toy())
        body["metadata"]["ownerReferences"].append(
            {**body["metadata"]["ownerReferences"][0], "uid": "b3c5e3a0-0000-4000-8000-000000000000"}
        )
        with pytest.raises(Invalid, match="Only one reference can have Controller set to true"):
            await place.api.apply(place.map(), body, manager=MANAGER)

    async def test_a_status_changes_nothing_but_the_status(self, place: Place) -> None:
        made = await place.make_toy()
        said = await place.say(made, {"observedGeneration": 1})

        assert said["spec"] == made["spec"]
        assert said["status"] == {"observedGeneration": 1}
        assert said["metadata"]["generation"] == made["metadata"]["generation"] == 1

    async def test_a_status_loses_what_is_no_longer_said(self, place: Place) -> None:
        made = await place.make_toy()
        await place.say(made, {"observedGeneration": 1, "conditions": [READY, {**READY, "type": "Stalled"}]})

        said = await place.say(made, {"conditions": [READY]})
        assert said["status"] == {"conditions": [READY]}

    async def test_a_status_of_what_is_not_there_is_not_found(self, place: Place) -> None:
        made = await place.make_toy()
        await place.api.delete(place.toy(), uid=uid(made))
        with pytest.raises(NotFound):
            await place.say(made, {"observedGeneration": 1})

    async def test_a_status_of_another_object_of_that_name_is_told_by_the_version_only(
        self, place: Place
    ) -> None:
        made = await place.make_toy()
        await place.api.delete(place.toy(), uid=uid(made))
        await place.make_toy()
        with pytest.raises(Conflict):
            await place.say(made, {}, resourceVersion=made["metadata"]["resourceVersion"])
        said = await place.say(made, {"observedGeneration": 7}, uid=uid(made))
        assert said["status"] == {"observedGeneration": 7}, "the uid is no precondition here"

    async def test_a_status_of_the_version_that_was_seen_is_taken(self, place: Place) -> None:
        made = await place.make_toy()
        version = made["metadata"]["resourceVersion"]
        said = await place.say(made, {"observedGeneration": 1}, resourceVersion=version)
        assert said["status"] == {"observedGeneration": 1}

    async def test_a_change_of_spec_is_a_new_generation(self, place: Place) -> None:
        await place.make_toy()
        changed = await place.api.patch(place.toy(), {"spec": {"colour": "blue"}})

        assert changed["metadata"]["generation"] == 2

    async def test_a_delete_means_one_object_and_no_other_of_its_name(self, place: Place) -> None:
        made = await place.make_map()
        with pytest.raises(Conflict):
            await place.api.delete(place.map(), uid="b3c5e3a0-0000-4000-8000-000000000000")

        assert await place.api.delete(place.map(), uid=uid(made)) is None
        with pytest.raises(NotFound):
            await place.api.get(place.map())

    async def test_a_delete_may_mean_one_version_alone(self, place: Place) -> None:
        made = await place.make_map()
        changed = await place.apply(a="2")
        with pytest.raises(Conflict):
            await place.api.delete(
                place.map(), uid=uid(made), resource_version=made["metadata"]["resourceVersion"]
            )

        version = changed["metadata"]["resourceVersion"]
        assert await place.api.delete(place.map(), uid=uid(made), resource_version=version) is None

    async def test_a_deleted_object_that_is_held_is_still_there(self, place: Place) -> None:
        made = await place.make_map()
        await place.api.patch(place.map(), {"metadata": {"finalizers": ["example.com/hold"]}})

        left = await place.api.delete(place.map(), uid=uid(made))
        assert left is not None
        assert left["metadata"]["deletionTimestamp"]
        await place.api.patch(place.map(), {"metadata": {"finalizers": None}})
        with pytest.raises(NotFound):
            await place.api.get(place.map())

    async def test_a_list_shows_what_the_selector_picks(self, place: Place) -> None:
        ours = await place.make_map("ours")
        await place.api.create(place.map("theirs"), {"metadata": {"name": "theirs"}, "data": {}})

        listing = await place.api.list(MAPS, place.namespace, selector=f"{MANAGED_BY}={MANAGER}")
        assert listing.items == [ours]
        assert listing.resource_version >= resource_version(ours)

    async def test_versions_of_a_kind_can_be_ordered(self, place: Place) -> None:
        first = await place.make_map("first")
        second = await place.make_map("second")
        before = await place.api.list(MAPS, place.namespace)
        third = await place.make_map("third")

        versions = [resource_version(first), resource_version(second), resource_version(third)]
        assert versions == sorted(set(versions))
        assert versions[1] <= before.resource_version < versions[2]

    async def test_a_replacement_of_an_old_version_is_a_conflict(self, place: Place) -> None:
        made = await place.make_map(a="1")
        replaced = await place.api.replace(place.map(), {**made, "data": {"a": "2"}})
        assert replaced["data"] == {"a": "2"}
        with pytest.raises(Conflict):
            await place.api.replace(place.map(), {**made, "data": {"a": "3"}})


class TestExecutor:
    """The executor on both API servers."""

    @pytest.fixture
    async def owner(self, place: Place) -> Body:
        return await place.make_toy()

    def executor(self, place: Place, *known: Body) -> Executor:
        cache = Cache()
        for body in known:
            cache.put(TOYS if body["kind"] == TOYS.kind else MAPS, body)
        return Executor(place.api, cache, EventRecorder(place.api, "test"))

    async def test_a_child_is_made_kept_and_repaired(self, place: Place, owner: Body) -> None:
        apply = Plan(effects=(Apply(place.map(), config_map(place.map(), owner, a="1")),))
        executor = self.executor(place, owner)
        assert await executor.execute(place.toy(), apply)
        assert not await executor.execute(place.toy(), apply)

        edited = await place.api.patch(place.map(), {"data": {"a": "by hand"}})
        executor = self.executor(place, owner, edited)
        assert await executor.execute(place.toy(), apply)
        assert (await place.api.get(place.map()))["data"] == {"a": "1"}

    async def test_a_strangers_object_is_not_taken(self, place: Place, owner: Body) -> None:
        await place.api.create(place.map(), {"metadata": {"name": "m"}, "data": {"mine": "x"}})
        for effect in (Apply, Create):
            plan = Plan(effects=(effect(place.map(), config_map(place.map(), owner, a="1")),))
            cache = Cache()
            cache.put(TOYS, owner)
            await Executor(place.api, cache, EventRecorder(place.api, "test")).execute(place.toy(), plan)
            (refusal,) = cache.fact(place.toy(), REFUSALS)
            assert (refusal.object, refusal.kind) == (place.map(), "NameTaken")

        assert (await place.api.get(place.map()))["data"] == {"mine": "x"}

    async def test_a_second_create_finds_the_first(self, place: Place, owner: Body) -> None:
        plan = Plan(effects=(Create(place.map(), config_map(place.map(), owner, a="1")),))
        for _ in range(2):  # each time with a cache that has not seen it yet
            await self.executor(place, owner).execute(place.toy(), plan)

        assert (await place.api.get(place.map()))["data"] == {"a": "1"}

    async def test_a_delete_is_done_once(self, place: Place, owner: Body) -> None:
        made = await place.api.create(place.map(), config_map(place.map(), owner))
        executor = self.executor(place, owner, made)
        plan = Plan(effects=(Delete(place.map(), uid(made)),))
        assert await executor.execute(place.toy(), plan)
        assert await executor.execute(place.toy(), plan), "asked again, it is gone already, which is fine"
        with pytest.raises(NotFound):
            await place.api.get(place.map())

    async def test_a_status_settles(self, place: Place, owner: Body) -> None:
        plan = Plan(status={"observedGeneration": 1, "conditions": [READY]})
        executor = self.executor(place, owner)
        assert await executor.execute(place.toy(), plan)
        assert not await executor.execute(place.toy(), plan)

    async def test_two_operators_do_not_undo_each_others_work_for_ever(
        self, place: Place, owner: Body
    ) -> None:
        operators = {}
        for name in ("a/one", "b/two"):
            cache = Cache()
            cache.put(TOYS, owner)
            executor = Executor(place.api, cache, EventRecorder(place.api, name), operator=name)
            plan = Plan(effects=(Apply(place.map(), config_map(place.map(), owner, colour=name[2:])),))
            operators[name] = (cache, executor, plan)
        versions = set()
        for _ in range(10):
            for _, executor, plan in operators.values():
                await executor.execute(place.toy(), plan)
                live = await place.api.get(place.map())
                versions.add(resource_version(live))
                for seen, _, _ in operators.values():
                    seen.put(MAPS, live)

        assert len(versions) <= 5
        (refusal,) = operators["a/one"][0].fact(place.toy(), REFUSALS)
        assert (refusal.kind, refusal.message) == (
            "AnotherOperator", "another operator (b/two) writes it too",
        )  # fmt: skip

    async def test_an_event_reaches_the_user(self, place: Place, owner: Body) -> None:
        plan = Plan(events=(Event("Warning", "ApplyFailed", "x" * 5000),))
        await self.executor(place, owner).execute(place.toy(), plan)
        await self.executor(place, owner).execute(place.toy(), plan)

        listing = await place.api.list(ResourceType("v1", "Event", "events"), place.namespace)
        said = [e for e in listing.items if e["involvedObject"].get("uid") == uid(owner)]
        assert [(e["type"], e["reason"], e["count"]) for e in said] == [("Warning", "ApplyFailed", 1)]


@pytest.mark.cluster
class TestRealApiServer:
    """What only a real API server does."""

    @pytest.fixture
    async def real(self, kubectl: Kubectl) -> AsyncIterator[Place]:
        async with real_place(kubectl) as place:
            yield place

    async def test_its_defaults_and_its_spelling_of_amounts_are_no_reason_to_write(self, real: Place) -> None:
        owner = await real.make_toy()
        key = Key(DEPLOYMENTS, real.namespace, "server")
        container = {
            "name": "server",
            "image": "example.com/server:1",
            "args": [],
            "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": 1.5}},
            "ports": [{"containerPort": 8080, "name": "http"}],
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        }
        pod = {"containers": [container], "volumes": [{"name": "tmp", "emptyDir": {}}], "hostNetwork": False}
        labels = {"app": "server"}
        manifest = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "server",
                "namespace": real.namespace,
                "labels": {MANAGED_BY: MANAGER},
                "ownerReferences": [owner_reference(owner)],
            },
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
        cache = Cache()
        cache.put(TOYS, owner)
        plan = Plan(effects=(Apply(key, manifest),))
        await Executor(real.api, cache, EventRecorder(real.api, "test")).execute(real.toy(), plan)

        restarted = Executor(real.api, cache, EventRecorder(real.api, "test"))
        assert not await restarted.execute(real.toy(), plan)

    @pytest.mark.parametrize("kind", ["Service", "Deployment", "Toy"])
    async def test_it_compares_the_version_of_each_kind_that_is_applied(self, real: Place, kind: str) -> None:
        pod = {"containers": [{"name": "c", "image": "c:1"}]}
        template = {"metadata": {"labels": {"app": "m"}}, "spec": pod}
        resource, spec = {
            "Service": (ResourceType("v1", "Service", "services"), {"ports": [{"port": 80}]}),
            "Deployment": (
                DEPLOYMENTS,
                {"replicas": 0, "selector": {"matchLabels": {"app": "m"}}, "template": template},
            ),
            "Toy": (TOYS, {"colour": "red"}),
        }[kind]
        key = Key(resource, real.namespace, "m")
        identity = {"name": key.name, "namespace": key.namespace, "resourceVersion": ABSENT_VERSION}
        body = {"apiVersion": resource.api_version, "kind": kind, "metadata": identity, "spec": spec}
        made = await real.api.apply(key, body, manager=MANAGER)
        with pytest.raises(Conflict):
            await real.api.apply(key, body, manager=MANAGER)

        assert [(m["manager"], m["operation"]) for m in made["metadata"]["managedFields"]] == [
            (MANAGER, "Apply")
        ]

    async def test_it_says_what_is_wrong_with_an_object(self, real: Place) -> None:
        with pytest.raises(Invalid, match="choose another colour than beige"):
            await real.api.create(real.toy(), {**toy("beige"), "metadata": {"name": "churn"}})

    async def test_it_says_what_right_is_missing(self, real: Place, kubectl: Kubectl) -> None:
        kubectl.run("create", "serviceaccount", "nobody")
        configuration = await configure(KUBECONFIG)
        configuration.cert_file = configuration.key_file = None
        configuration.api_key["BearerToken"] = "Bearer " + kubectl.run("create", "token", "nobody").strip()
        client = Client(configuration)
        try:
            with pytest.raises(Forbidden, match="cannot get resource"):
                await client.get(real.map())
        finally:
            await client.close()

    async def test_it_makes_nothing_in_a_namespace_that_goes(self, real: Place, kubectl: Kubectl) -> None:
        await real.make_map()
        await real.api.patch(real.map(), {"metadata": {"finalizers": ["example.com/hold"]}})
        kubectl.run("delete", "namespace", real.namespace, "--wait=false")
        with pytest.raises(NamespaceTerminating):
            await real.make_map("late")
        await real.api.patch(real.map(), {"metadata": {"finalizers": None}})

    async def test_a_long_list_comes_whole(self, real: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("modelwright.engine.client.PAGE", 3)
        for number in range(8):
            await real.make_map(f"m{number}")

        listing = await real.api.list(MAPS, real.namespace, selector=f"{MANAGED_BY}={MANAGER}")
        assert [body["metadata"]["name"] for body in listing.items] == [f"m{n}" for n in range(8)]
        assert all(body["kind"] == "ConfigMap" for body in listing.items)

    async def test_it_knows_its_kinds(self, real: Place) -> None:
        assert isinstance(real.api, Client)
        assert await real.api.serves(TOYS)
        assert not await real.api.serves(ResourceType("modelwright.dev/v1alpha1", "Nothing", "nothings"))

    async def test_one_candidate_hands_the_lease_to_the_next(self, real: Place) -> None:
        key = Key(LEASES, real.namespace, "operator")
        first, second = Elector(real.api, key, "first"), Elector(real.api, key, "second")
        assert await first.step()
        assert not await second.step()
        assert await first.step()
        await first.release()
        assert await second.step()

        assert (await real.api.get(key))["spec"]["leaseTransitions"] == 1
