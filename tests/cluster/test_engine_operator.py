"""The whole engine at work on a real cluster, undisturbed and disturbed, with a small planner."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.objects import toy_definition
from fakes.places import Place, Process, Running, operating, processes, real_place, until
from fakes.proxy import proxied
from kubernetes.aio.client import Configuration
from support.kubectl import KUBECONFIG, Kubectl

from modelwright.engine.client import Client
from modelwright.engine.connection import configure
from modelwright.engine.errors import Forbidden, NotFound
from modelwright.engine.kinds import Kind
from modelwright.engine.lease import LEASES
from modelwright.engine.objects import Key, ResourceType, uid
from modelwright.engine.runtime import ProcessSettings

Start = Callable[[Path], Awaitable[Process]]


@pytest.fixture
async def real(kubectl: Kubectl) -> AsyncIterator[Place]:
    async with real_place(kubectl) as place:
        yield place


@pytest.mark.cluster
class TestOperator:
    """The whole engine with a small planner: a toy has a map of its name."""

    @pytest.fixture
    async def configuration(self) -> Configuration:
        return await configure(KUBECONFIG)

    def data(self, running: Running, key: Key) -> Any:
        body = running.operator.intake.get(key)
        return None if body is None else body["data"]

    def ready(self, running: Running, key: Key) -> bool:
        body = running.operator.intake.get(key)
        conditions = (body or {}).get("status", {}).get("conditions", [])
        return [c["status"] for c in conditions if c["type"] == "Ready"] == ["True"]

    async def test_a_toy_gets_its_map_and_says_so(self, real: Place, configuration: Configuration) -> None:
        async with operating(configuration, real.namespace) as running:
            await real.make_toy()
            await until(lambda: self.ready(running, real.toy()))

            assert (await real.api.get(real.map("churn")))["data"] == {"colour": "red"}

    async def test_an_optional_kind_may_be_unknown(self, real: Place, configuration: Configuration) -> None:
        routes = ResourceType("nowhere.modelwright.dev/v1", "Route", "routes")
        async with operating(configuration, real.namespace, Kind(routes, optional=True)) as running:
            await real.make_toy()
            await until(lambda: self.ready(running, real.toy()))

    async def test_an_optional_kind_may_come_late_and_go_again(
        self, real: Place, kubectl: Kubectl, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("modelwright.engine.watching.LOOK_PAUSE", 0.2)
        monkeypatch.setattr("modelwright.engine.streams.LISTING_PATIENCE", 3.0)
        late = ResourceType(f"{real.namespace}.modelwright.dev/v1", "Toy", "toys")
        definition, wanted = json.dumps(toy_definition(late.group)), asyncio.Event()
        blue = {"spec": {"colour": "blue"}}
        kind = Kind(late, optional=True, needed=lambda _: wanted.is_set())
        async with operating(configuration, real.namespace, kind) as running:
            seen = running.operator.intake
            await real.make_toy()
            await until(lambda: self.ready(running, real.toy()))
            assert seen.blindness(late, real.namespace) == "Unserved"

            for name in ("first", "second"):
                kubectl.run("apply", "-f", "-", given=definition)
                wanted.set()
                await until(lambda: seen.blindness(late, real.namespace) is None)
                key = Key(late, real.namespace, name)
                named = {"apiVersion": late.api_version, "kind": "Toy", "metadata": {"name": name}}
                await real.api.create(key, {**named, "spec": {"colour": "red"}})
                await until(lambda key=key: seen.get(key) is not None)  # type: ignore[misc]
                await real.api.patch(key, blue)
                await until(lambda key=key: blue.items() <= (seen.get(key) or {}).items())  # type: ignore[misc]

                kubectl.run("delete", "-f", "-", given=definition)
                await until(lambda: seen.blindness(late, real.namespace) == "Unserved")
                assert seen.get(key) is None

            await real.make_toy("still")
            await until(lambda: self.ready(running, real.toy("still")))

    async def test_nobody_asks_for_an_optional_kind_that_nobody_needs(
        self, real: Place, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("modelwright.engine.watching.LOOK_PAUSE", 0.01)
        asked: list[ResourceType] = []
        serves = Client.serves

        async def counted(self: Client, resource: ResourceType, namespace: str | None = None) -> bool:
            asked.append(resource)
            return await serves(self, resource, namespace)

        monkeypatch.setattr(Client, "serves", counted)
        routes = ResourceType("nowhere.modelwright.dev/v1", "Route", "routes")
        async with operating(configuration, real.namespace, Kind(routes, optional=True)) as running:
            await real.make_toy()
            await until(lambda: self.ready(running, real.toy()))
            await asyncio.sleep(1)

        assert asked.count(routes) == 1

    async def test_an_optional_kind_that_may_not_be_read_keeps_nobody_from_work(
        self, real: Place, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def refused(self: Client, resource: ResourceType, namespace: str | None = None) -> bool:
            if resource == routes:
                raise Forbidden("not for you")
            return True

        monkeypatch.setattr(Client, "serves", refused)
        routes = ResourceType("nowhere.modelwright.dev/v1", "Route", "routes")
        async with operating(configuration, real.namespace, Kind(routes, optional=True)) as running:
            await real.make_toy()
            await until(lambda: self.ready(running, real.toy()))
            assert running.operator.intake.blindness(routes, real.namespace) == "Forbidden"

    async def test_a_kind_that_comes_late_is_waited_for(
        self,
        real: Place,
        configuration: Configuration,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr("modelwright.engine.watching.LOOK_PAUSE", 0.2)
        answers = [False, False, False]
        serves = Client.serves

        async def late(self: Client, resource: ResourceType, namespace: str | None = None) -> bool:
            return answers.pop() if answers else await serves(self, resource, namespace)

        monkeypatch.setattr(Client, "serves", late)
        async with operating(configuration, real.namespace) as running:
            await real.make_toy()
            await until(lambda: self.ready(running, real.toy()))

        assert "the API server does not know engine.modelwright.dev/v1 Toy: install the CRDs" in caplog.text

    async def test_a_map_that_is_changed_or_deleted_by_hand_is_repaired(
        self, real: Place, configuration: Configuration
    ) -> None:
        async with operating(configuration, real.namespace) as running:
            await real.make_toy()
            await until(lambda: self.ready(running, real.toy()))
            edited = await real.api.patch(real.map("churn"), {"data": {"colour": "by hand"}})
            await until(lambda: self.data(running, real.map("churn")) == {"colour": "red"})
            await real.api.delete(real.map("churn"), uid=uid(edited))
            await until(
                lambda: uid(running.operator.intake.get(real.map("churn")) or {}) not in {"", uid(edited)}
            )

            assert (await real.api.get(real.map("churn")))["data"] == {"colour": "red"}

    async def test_a_restart_over_a_settled_cluster_writes_nothing(
        self, real: Place, configuration: Configuration
    ) -> None:
        async with operating(configuration, real.namespace) as running:
            for number in range(10):
                await real.make_toy(f"churn-{number}")
            await until(lambda: all(self.ready(running, real.toy(f"churn-{n}")) for n in range(10)))
            assert len(running.proxy.writes) == 30, "one map and two statuses each"

        async with operating(configuration, real.namespace) as running:
            await running.settled()
            await until(lambda: b'"Toy",outcome="Done"} 10.0' in _outcomes(running))
            await asyncio.sleep(1)

            assert running.proxy.writes == []

    async def test_what_goes_while_a_watch_is_blind_is_noticed(
        self, real: Place, configuration: Configuration
    ) -> None:
        async with operating(configuration, real.namespace) as running:
            await real.make_toy()
            await until(lambda: self.ready(running, real.toy()))
            running.proxy.muted = True
            lost = await real.api.get(real.map("churn"))
            await real.api.delete(real.map("churn"), uid=uid(lost))
            await asyncio.sleep(0.5)
            assert self.data(running, real.map("churn")) is not None, "the watch is blind"
            running.proxy.muted = False
            running.proxy.end_watches(410)
            await until(
                lambda: uid(running.operator.intake.get(real.map("churn")) or {}) not in {"", uid(lost)}
            )

    async def test_the_last_object_of_a_kind_is_missed_as_well(
        self, real: Place, configuration: Configuration
    ) -> None:
        async with operating(configuration, real.namespace) as running:
            made = await real.make_toy()
            await until(lambda: self.ready(running, real.toy()))
            running.proxy.muted = True
            await real.api.delete(real.toy(), uid=uid(made))
            await asyncio.sleep(0.5)
            running.proxy.muted = False
            running.proxy.end_watches(410)
            await until(lambda: running.operator.intake.get(real.toy()) is None)

    @pytest.mark.parametrize("code", [401, 403, 429, 503])
    async def test_an_api_server_that_refuses_everything_for_a_while_is_survived(
        self, real: Place, configuration: Configuration, code: int
    ) -> None:
        async with operating(configuration, real.namespace) as running:
            await running.settled()
            running.proxy.refusal = code
            running.proxy.end_watches(410)
            await asyncio.sleep(4)
            running.proxy.refusal = None
            await real.make_toy()
            await until(lambda: self.ready(running, real.toy()), seconds=60)

            assert (await running.ask("/livez"))[0] == 200

    async def test_an_error_that_a_watch_cannot_recover_from_starts_the_watches_of_the_namespace_again(
        self,
        real: Place,
        configuration: Configuration,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr("modelwright.engine.watching.LOOK_PAUSE", 0.1)
        async with operating(configuration, real.namespace) as running:
            await running.settled()
            running.proxy.end_watches(500)
            await until(lambda: "Error in the watch-stream" in caplog.text)
            await real.make_toy()
            await until(lambda: self.ready(running, real.toy()))

        assert f"namespace {real.namespace} is not watched: its watches ended" in caplog.text

    async def test_it_tells_how_it_is(self, real: Place, configuration: Configuration) -> None:
        async with operating(configuration, real.namespace) as running:
            await until(lambda: running.operator.health.port != 0)
            await running.settled()
            status, text = await running.ask("/metrics")

            assert (await running.ask("/livez"), await running.ask("/readyz")) == ((200, "ok\n"),) * 2
            assert status == 200
            assert "modelwright_leader 1.0" in text
            assert 'modelwright_reconcile_total{kind="Toy",outcome="Done"}' in text

    async def test_what_the_api_server_refuses_the_user_is_told(
        self, real: Place, configuration: Configuration, kubectl: Kubectl
    ) -> None:
        await real.api.create(real.map("churn"), {"metadata": {"name": "churn"}, "data": {"mine": "x"}})
        async with operating(configuration, real.namespace):
            made = await real.make_toy()

            def events() -> list[Any]:
                found = json.loads(kubectl.run("get", "events", "-o", "json"))["items"]
                return [e["message"] for e in found if e["involvedObject"].get("uid") == uid(made)]

            await until(lambda: bool(events()))
            assert events() == ["ConfigMap churn exists already and belongs to somebody else"]


@pytest.mark.cluster
class TestProcess:
    """The operator as the kubelet sees it."""

    @pytest.fixture
    async def start(self, real: Place, tmp_path: Path) -> AsyncIterator[Start]:
        async with processes(real.namespace, tmp_path) as start:
            yield start

    async def mapped(self, real: Place, name: str) -> bool:
        """Whether a toy has its map."""
        try:
            await real.api.get(real.map(name))
        except NotFound:
            return False
        return True

    async def test_on_sigterm_it_hands_over_and_ends_well(self, real: Place, start: Start) -> None:
        first = await start(KUBECONFIG)
        await until(first.is_ready)
        await until(first.leads)
        second = await start(KUBECONFIG)
        await until(second.is_ready)
        assert not await second.leads()

        first.process.send_signal(signal.SIGTERM)
        assert await first.ends() == 0, first.log.read_text()
        lease = await real.api.get(Key(LEASES, real.namespace, "modelwright-operator"))
        assert lease["spec"]["holderIdentity"] == "" or lease["spec"]["leaseTransitions"] == 1
        await real.make_toy()
        await until(lambda: self.mapped(real, "churn"))
        assert await second.leads()

    async def test_one_that_is_killed_is_followed_when_its_lease_has_run_out(
        self, real: Place, start: Start
    ) -> None:
        first = await start(KUBECONFIG)
        await real.make_toy("one")
        await until(lambda: self.mapped(real, "one"))
        second = await start(KUBECONFIG)
        await until(second.is_ready)

        first.process.kill()
        await first.ends()
        await real.make_toy("two")
        await until(lambda: self.mapped(real, "two"))

    async def test_one_whose_watches_of_a_namespace_break_begins_them_again(
        self, real: Place, start: Start, tmp_path: Path
    ) -> None:
        async with proxied(await configure(KUBECONFIG)) as proxy:
            cluster = {"name": "c", "cluster": {"server": proxy.url}}
            context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
            config = {"current-context": "c", "clusters": [cluster], "contexts": [context]}
            kubeconfig = tmp_path / "kubeconfig"
            kubeconfig.write_text(json.dumps({**config, "users": [{"name": "c", "user": {}}]}))
            process = await start(kubeconfig)
            await until(process.is_ready)
            assert (await process.ask("/livez"))[0] == 200
            proxy.end_watches(500)

            await real.make_toy("late")
            await until(lambda: self.mapped(real, "late"))
            assert process.process.returncode is None


def _outcomes(running: Running) -> bytes:
    return running.operator.metrics.text().replace(b"kind=", b"")


def test_each_process_has_a_name_of_its_own() -> None:
    names = {ProcessSettings(lease_namespace="x").identity for _ in range(10)}

    assert len(names) == 10
