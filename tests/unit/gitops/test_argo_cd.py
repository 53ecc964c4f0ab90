"""Argo CD's scripts for the three kinds: health in every state, and actions that the operator carries out once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant
from support.gitops.tools import ScriptError, Tools
from unit.gitops.states import ALL, STATES
from unit.gitops.testdata import (
    CONFIG,
    EXAMPLES,
    SCRIPTS,
    action,
    discovery,
    documents,
    health_script,
    patched,
)
from unit.given.checks import kstatus
from unit.given.resources import InferenceService, TrainingJob
from unit.statemachine.test_storms import Storm

from modelwright.api import requests, runrequests
from modelwright.api.requests import Action
from modelwright.cli.errors import Refused
from modelwright.cli.request import request
from modelwright.common.resources import INFERENCE_SERVICES, TRAINING_JOBS
from modelwright.view.model import read

Bodies = Mapping[tuple[str, str], dict[str, Any]]
WITH_ACTIONS = [(kind, name) for kind, name in ALL if kind in EXAMPLES]


@pytest.fixture(autouse=True)
def _watched_by(tools: Tools) -> None:
    Shown.tools = tools


def offered(tools: Tools, kind: str, body: Mapping[str, Any]) -> set[str]:
    """The actions that can be clicked."""
    found = tools.actions(discovery(kind), body)
    assert set(found) == set(EXAMPLES[kind])
    return {name for name, parts in found.items() if not parts["disabled"]}


def pressed(tools: Tools, kind: str, name: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The patch that Argo CD sends when an action is clicked; None if the action refuses."""
    try:
        return tools.patch(action(kind, name), body)
    except ScriptError:
        return None


def of_the_command_line(body: Mapping[str, Any]) -> set[str]:
    """The actions that `modelwright rollout` writes a request for."""
    found = set()
    for name in get_args(Action):
        try:
            request(name, read(body), None, "token")
        except Refused:
            continue
        found.add(name)
    return found


def check(tools: Tools, kind: str, body: Mapping[str, Any]) -> None:
    """Holds what is offered to what the command line would do, and what is not offered to a refusal."""
    found = offered(tools, kind, body)
    for name in EXAMPLES[kind]:
        patch = pressed(tools, kind, name, body)
        if kind == "TrainingJob" and name != "run":
            assert patch is not None
            assert name not in found or set(patch) == {"spec"}
            continue
        assert (patch is not None) == (name in found), name
        assert patch is None or set(patch) == {"metadata"}, "nothing else is changed"
        assert patch is None or set(patch["metadata"]) == {"annotations"}
    if kind == "InferenceService":
        by_command = of_the_command_line(body)
        canary = (body.get("status") or {}).get("canary") or {}
        if canary.get("state") == "Progressing":
            # The command line waits for the pods with such a request. A button does not.
            by_command -= {"promote", "promote-full"}
        assert found == by_command


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_health_is_that_of_the_state(tools: Tools, bodies: Bodies, kind: str, name: str) -> None:
    body, word = bodies[kind, name], name.partition("_")[0]

    status, message = tools.health(health_script(kind), body)

    # Argo CD itself says Progressing of what is being deleted, and asks no script.
    assert word == "deleting" or status.lower() == word
    said = {each["type"]: each["message"] for each in body["status"].get("conditions") or ()}
    seen = body["status"]["observedGeneration"] == body["metadata"]["generation"]
    assert message == (said["Ready"] if seen else "the operator has not seen this version of the spec yet")


def test_an_object_without_a_status_is_progressing(tools: Tools) -> None:
    for kind in STATES:
        bare = {
            "apiVersion": "modelwright.dev/v1alpha1",
            "kind": kind,
            "metadata": {"generation": 1},
            "spec": {},
        }
        assert tools.health(health_script(kind), bare)[0] == "Progressing"
        assert (
            tools.health(health_script(kind), {**bare, "status": {"observedGeneration": 1}})[0]
            == "Progressing"
        )


def test_the_three_kinds_have_one_script() -> None:
    assert len({health_script(kind) for kind in STATES}) == 1


@pytest.mark.parametrize(("kind", "name"), WITH_ACTIONS)
def test_an_action_is_offered_where_it_makes_sense_and_refuses_elsewhere(
    tools: Tools, bodies: Bodies, kind: str, name: str
) -> None:
    check(tools, kind, bodies[kind, name])


def test_each_action_is_offered_in_a_state_and_not_in_another(tools: Tools, bodies: Bodies) -> None:
    for kind, actions in EXAMPLES.items():
        sets = [offered(tools, kind, bodies[kind, name]) for name in STATES[kind]]
        assert set.union(*sets) == set(actions)
        assert set.intersection(*sets) == set()


@pytest.mark.parametrize(
    ("action_name", "state"),
    [(name, good) for name, (good, _) in EXAMPLES["InferenceService"].items()]
    + [("promote", "progressing_blue-green"), ("abort", "progressing_first-version-starts")]
    + [("retry", "progressing_tried-again-later"), ("undo", "healthy_undone"), ("retry", "healthy_undone")]
    + [
        ("abort", "progressing_completing"),
        ("undo", "progressing_baking"),
        ("pause", "progressing_stable-lost"),
    ]
    + [("promote", "suspended_paused-by-spec"), ("abort", "suspended_awaiting-approval")],
)
def test_the_operator_carries_out_what_was_clicked_and_once(
    tools: Tools, action_name: str, state: str
) -> None:
    service = STATES["InferenceService"][state]()
    assert isinstance(service, InferenceService)
    before = len(service.world.told.events)
    patch = pressed(tools, "InferenceService", action_name, service.body)
    assert patch is not None

    press(service, patch)

    token = service.body["metadata"]["annotations"][requests.ANNOTATION].partition("#")[2]
    assert service.status["lastHandledRequest"] == token
    events = {event.reason for event in service.world.told.events[before:]}
    assert "RequestIgnored" not in events
    assert "requestedBy" not in service.status["lastDecision"] or (
        service.status["lastDecision"]["requestedBy"] == "argocd-server"
    )
    decided = dict(service.status["lastDecision"])
    press(service, patch)
    assert service.status["lastDecision"] == decided, "the annotation stays, and is done"


def press(service: InferenceService | TrainingJob, patch: Mapping[str, Any]) -> None:
    """Argo CD's API server patches the object, and the operator looks."""
    service.world.api.edit(service.key, lambda body: body.update(patched(body, patch)))
    service.world.watch()
    service.settles()


def test_a_second_click_is_a_request_of_its_own(tools: Tools) -> None:
    service = STATES["InferenceService"]["progressing_canary"]()
    tokens = set()
    for name in ("pause", "resume", "pause", "promote", "pause"):
        patch = pressed(tools, "InferenceService", name, service.body)
        assert patch is not None, name
        press(service, patch)  # type: ignore[arg-type]
        tokens.add(service.status["lastHandledRequest"])
    assert len(tokens) == 5


def test_a_name_that_an_earlier_request_has_left_is_removed(tools: Tools, bodies: Bodies) -> None:
    for kind, state, name, left in (
        ("InferenceService", "progressing_canary", "abort", requests.REQUESTED_BY),
        ("TrainingJob", "healthy_succeeded", "run", runrequests.REQUESTED_BY),
    ):
        body = bodies[kind, state]
        meta = {**body["metadata"], "annotations": {left: "alice", "other": "stays"}}
        patch = pressed(tools, kind, name, {**body, "metadata": meta})
        assert patch is not None
        assert patch["metadata"]["annotations"][left] is None
        assert "other" not in patch["metadata"]["annotations"]


@pytest.mark.parametrize(
    "state", ["degraded_failed", "healthy_succeeded", "healthy_suspended", "healthy_skipped"]
)
def test_a_click_on_run_starts_one_run(tools: Tools, state: str) -> None:
    job = STATES["TrainingJob"][state]()
    assert isinstance(job, TrainingJob)
    number = job.run["number"]
    patch = pressed(tools, "TrainingJob", "run", job.body)
    assert patch is not None

    press(job, patch)
    press(job, patch)

    assert job.run["number"] == number + 1
    assert job.run["cause"]["trigger"] == "Manual"


def test_triggers_are_suspended_and_resumed_without_a_run(tools: Tools) -> None:
    job = STATES["TrainingJob"]["healthy_scheduled"]()
    assert isinstance(job, TrainingJob)
    for name, suspended in (("suspend", True), ("resume", False)):
        assert name in offered(tools, "TrainingJob", job.body)
        patch = pressed(tools, "TrainingJob", name, job.body)
        assert patch is not None
        job.changes(**patch["spec"]).settles()
        assert (job.body["spec"]["suspend"], job.run["number"], job.reason) == (suspended, 1, "RunSucceeded")


def test_the_files_are_those_of_the_present_states(tools: Tools) -> None:
    wanted = dict(documents(tools))
    there = {*SCRIPTS.glob("**/*.yaml"), CONFIG}
    stale = [str(path) for path, text in wanted.items() if path not in there or path.read_text() != text]
    stale += [str(path) for path in there if path not in wanted]
    assert stale == [], "make generate writes them"


def test_they_have_the_names_that_argo_cd_looks_for() -> None:
    for kind in STATES:
        assert (SCRIPTS / kind / "health_test.yaml").exists()
    for kind, actions in EXAMPLES.items():
        folder = SCRIPTS / kind / "actions"
        assert {path.parent.name for path in folder.glob("*/action.lua")} == set(actions)
        assert (folder / "action_test.yaml").exists()
    assert not Path(SCRIPTS / "ModelVersion" / "actions").exists()


class Shown(Storm):
    """A storm, watched by Argo CD."""

    tools: Tools

    @invariant()
    def what_is_offered_is_what_can_be_asked_for(self) -> None:
        """In every state that users, clocks, pods and crashes bring about."""
        for key, body in self.cluster.objects.items():
            if key.resource in {INFERENCE_SERVICES, TRAINING_JOBS}:
                check(self.tools, key.resource.kind, body)
                assert self.tools.kstatus(body) == kstatus(body)
                self.tools.health(health_script(key.resource.kind), body)

    def teardown(self) -> None:
        """What becomes of the rest is what storms themselves test."""
        self.runner.close()


TestShown = Shown.TestCase
TestShown.settings = settings(
    max_examples=8,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
