"""Everything that uses kopf: the login, one handler for each kind, and the settings. No other module imports it.

kopf connects, lists, watches, reconnects, and calls a handler for each change. The handlers are `on.event` handlers.
They only put the object into the cache (`intake`), which adds the affected keys to the work queue. A planner decides
from the cache what to do, and the executor writes it.

The handlers decide nothing, for three reasons:

* An event shows only that something has changed. What to do depends on all objects as they are now, on the time and on
  measurements. An operator that was down has missed events and must act without them.
* `on.create`, `on.update`, `on.delete`, timers and daemons keep their progress in annotations and finalizers of users'
  objects. These belong to Git, and a finalizer blocks the deletion of a namespace while the operator is down.
* kopf calls handlers per object. It has no key that several kinds share, no limit of parallel work and no order of
  retries. The work queue has.

kopf writes nothing: peering, its Events, its finalizers and its copies of objects are switched off below. `streams`
lists what kopf's watches do not report.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import kopf
from kubernetes.aio.client import Configuration

from modelwright.engine import connection
from modelwright.engine.backoff import Forever
from modelwright.engine.intake import Intake
from modelwright.engine.kinds import Kind
from modelwright.engine.objects import ResourceType


def registry(
    kinds: Sequence[Kind], intake: Intake, configuration: Configuration, middleware: connection.Middleware
) -> kopf.OperatorRegistry:
    """Returns the login and the handlers. `middleware` receives each request of kopf and its response."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def log_in(**_: Any) -> kopf.AiohttpSession:
        session = connection.session(configuration, middleware)
        return kopf.AiohttpSession(server=configuration.host, aiohttp_session=session)

    for kind in kinds:
        handle(registry, kind.resource, intake)
    return registry


def handle(registry: kopf.OperatorRegistry, resource: ResourceType, intake: Intake) -> None:
    """Registers the handler of a kind."""

    @kopf.on.event(
        group=resource.group,
        version=resource.version,
        plural=resource.plural,
        id=f"watch-{resource.plural}",
        registry=registry,
    )
    async def take_in(event: Mapping[str, Any], **_: Any) -> None:
        if event["type"] == "DELETED":
            intake.remove(resource, event["object"])
        else:
            intake.put(resource, event["object"])


def settings(kinds: Sequence[Kind]) -> kopf.OperatorSettings:
    """Returns kopf's settings: what is switched off, the timeouts, and the label selector of each kind."""
    settings = kopf.OperatorSettings()
    # A Lease decides which process writes. Peers of equal priority would all pause.
    settings.peering.standalone = True
    # Scanning watches CRDs and namespaces, which needs cluster-wide rights. `watching` finds optional kinds instead.
    settings.scanning.disabled = True
    # `events` posts Events, each once.
    settings.posting.enabled = False
    # After this timeout kopf would kill the process, possibly during a write. `runtime` stops it instead.
    settings.process.ultimate_exiting_timeout = None
    # With `on.event` handlers kopf writes neither. The name is ours in case it ever does. Without a diff base kopf does
    # not copy each object that it receives.
    settings.persistence.finalizer = "modelwright.dev/never-added"
    settings.persistence.diffbase_storage = NoDiff()
    # With kopf's default delays a watch ends for good after a minute of errors.
    settings.networking.error_backoffs = Forever()
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 30
    # The client's timeout is longer than the server's: a dead connection is detected soon after the server should have
    # ended the watch.
    settings.watching.connect_timeout = 10
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 270
    settings.watching.chunk_size = 500
    # kopf keeps a task for each object that changed recently. Our handlers never wait, so the tasks can end at once.
    settings.queueing.idle_timeout = 1
    for kind in kinds:
        if kind.selector:
            where = kind.resource.group, kind.resource.version, kind.resource.plural
            settings.watching.label_selectors[where] = kind.selector
    return settings


async def spawn(
    registry: kopf.OperatorRegistry, settings: kopf.OperatorSettings, namespace: str | None
) -> Collection[Any]:
    """Starts kopf's tasks, for one namespace or for all, and returns them.

    The caller waits for the tasks and ends them. `kopf.operator` would do both, but it also cancels every other task of
    the process, and can wait for ever for a watch that broke.
    """
    scope: dict[str, Any] = {"namespaces": [namespace]} if namespace else {"clusterwide": True}
    return await kopf.spawn_tasks(
        registry=registry,
        settings=settings,
        # kopf's default is the name of the user, and a container's user has none.
        identity="modelwright",  # type: ignore[arg-type]  # kopf does not export the type
        standalone=True,
        **scope,
    )


class NoDiff(kopf.DiffBaseStorage):
    """Keeps no copy of any object, and no annotation with one."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Returns nothing to compare."""
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Returns None: there is no copy to compare with."""
        return None

    def store(self, **_: Any) -> None:
        """Stores nothing."""
