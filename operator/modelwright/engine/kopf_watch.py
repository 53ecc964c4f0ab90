"""All that kopf is used for: the login, one handler for each kind, and the settings. No other module imports it.

kopf connects, lists and watches, connects again, and calls a handler with each change. The handlers are `on.event`
handlers, and all they do is take the object into the cache (`intake`), which adds the keys that it concerns to the
work queue. Whatever follows is decided from the cache by a planner and written by the executor.

The handlers decide nothing, for three reasons:

* An event shows that something has changed. What is to be done depends on all objects as they are now, on time and on
  measurements; an operator that was down has missed events, and must act all the same.
* `on.create`, `on.update`, `on.delete`, timers and daemons keep their progress in annotations and finalizers of users'
  objects. These belong to Git, and a finalizer blocks the deletion of a namespace while the operator is down.
* kopf calls handlers for one object after another change of it, but knows no key that several kinds concern, no limit
  of parallel work and no order of tries. The work queue does.

kopf writes nothing: peering, its Events, its finalizers and its copies of objects are switched off below. What its
watches cannot tell is listed by `streams`.
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
    """The login and the handlers. `middleware` sees each request of kopf and its answer."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def log_in(**_: Any) -> kopf.AiohttpSession:
        session = connection.session(configuration, middleware)
        return kopf.AiohttpSession(server=configuration.host, aiohttp_session=session)

    for kind in kinds:
        handle(registry, kind.resource, intake)
    return registry


def handle(registry: kopf.OperatorRegistry, resource: ResourceType, intake: Intake) -> None:
    """The handler of a kind."""

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
    """What is switched off, how long kopf waits, and which objects it asks for."""
    settings = kopf.OperatorSettings()
    # Which process writes is decided by a Lease. Peers of equal priority would all pause.
    settings.peering.standalone = True
    # It would watch CRDs and namespaces, which needs cluster-wide rights; `watching` looks for optional kinds.
    settings.scanning.disabled = True
    # Events are posted by `events`, each once.
    settings.posting.enabled = False
    # kopf's last resort kills the process in the middle of a write; `runtime` ends it.
    settings.process.ultimate_exiting_timeout = None
    # Neither is ever written, with handlers of this type. The name would at least be our own, and without a diff base
    # kopf does not copy each object that it sees.
    settings.persistence.finalizer = "modelwright.dev/never-added"
    settings.persistence.diffbase_storage = NoDiff()
    # With kopf's own delays a watch ends for good after a minute of errors.
    settings.networking.error_backoffs = Forever()
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 30
    # A connection that is silently dead is noticed when the API server should have ended the watch.
    settings.watching.connect_timeout = 10
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 270
    settings.watching.chunk_size = 500
    # kopf keeps a task for each object that has changed lately; ours have nothing to wait for.
    settings.queueing.idle_timeout = 1
    for kind in kinds:
        if kind.selector:
            where = kind.resource.group, kind.resource.version, kind.resource.plural
            settings.watching.label_selectors[where] = kind.selector
    return settings


async def spawn(
    registry: kopf.OperatorRegistry, settings: kopf.OperatorSettings, namespace: str | None
) -> Collection[Any]:
    """Starts kopf's tasks, for one namespace or for all.

    They are the caller's to wait for and to end. `kopf.operator` does both, but it takes every other task of the
    process down with it, and can wait for ever for a watch that broke.
    """
    scope: dict[str, Any] = {"namespaces": [namespace]} if namespace else {"clusterwide": True}
    return await kopf.spawn_tasks(
        registry=registry,
        settings=settings,
        # kopf's own choice asks for the name of the user, and a container's user has none.
        identity="modelwright",  # type: ignore[arg-type]  # kopf does not export the type
        standalone=True,
        **scope,
    )


class NoDiff(kopf.DiffBaseStorage):
    """Keeps no copy of any object, and no annotation with one."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """The part of the object that kopf would compare: none."""
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """The copy that kopf would compare with: none."""
        return None

    def store(self, **_: Any) -> None:
        """Stores nothing."""
