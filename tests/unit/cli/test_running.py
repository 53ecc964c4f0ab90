"""`run`: a run is asked for once, and what became of it is said. The operator's own planner answers here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from unit.cli.desk import Body, Desk, Run, a_desk
from unit.given.resources import a_training_job, a_world
from unit.view.versions import by_hand

from modelwright.cli import running


class Nightly:
    """A TrainingJob at the desk, and the operator that looks after it."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.job = desk, a_training_job(a_world(), "nightly").succeeds()
        desk.versions = {"nightly": self.shown()}
        desk.on_version = self.answers
        # What happens to a run that was started.
        self.fate: Any = lambda job: job

    def shown(self) -> Body:
        """The object as the API server gives it."""
        body: Body = dict(self.job.body)
        return {**body, "metadata": {**body["metadata"], "resourceVersion": "1", "uid": "u"}}

    def answers(self, written: Body) -> Body:
        """The operator takes in what was written."""
        notes = written["metadata"]["annotations"]
        self.job.world.edit(self.job.key, metadata={"annotations": notes})
        self.fate(self.job.settles())
        written["status"] = self.job.status
        return {}


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(running, "PAUSE", 0.01)
    with a_desk(by_hand("none")) as found:
        yield found


@pytest.fixture
def nightly(desk: Desk) -> Nightly:
    return Nightly(desk)


def test_a_run_is_asked_for_and_starts(nightly: Nightly, command: Run) -> None:
    code, said = command("run", "nightly")

    assert code == 0
    assert said == "run 2 starts: jane asks for it\n"
    assert nightly.job.run["cause"]["trigger"] == "Manual"


def test_a_run_that_cannot_start_is_refused_with_the_reason(nightly: Nightly, command: Run) -> None:
    nightly.job.is_asked("other").settles()
    nightly.desk.versions["nightly"] = nightly.shown()

    code, said = command("run", "nightly")

    assert code == 1
    assert said.count("no run starts") == 1
    assert "run 2 is under way, and concurrencyPolicy is Forbid" in said


@pytest.mark.parametrize(
    ("fate", "code", "end"),
    [
        (lambda job: job.succeeds("b"), 0, "Succeeded: run 2 made ModelVersion nightly-2"),
        (lambda job: job.fails(), 1, "Failed: run 2: fetch: "),
    ],
)
def test_it_waits_for_the_end_if_asked_to(
    nightly: Nightly, command: Run, fate: Any, code: int, end: str
) -> None:
    nightly.fate = fate

    found, said = command("run", "nightly", "--wait")

    assert found == code
    assert end in said


def test_an_operator_that_does_not_answer_is_reported(nightly: Nightly, command: Run) -> None:
    nightly.desk.on_version = lambda _body: None

    code, said = command("run", "nightly", "--timeout", "0.1")

    assert code == 5
    assert "is the operator running?" in said
    assert "kubectl annotate -n team trainingjob nightly modelwright.dev/run-" in said


def test_it_does_not_wait_if_asked_not_to(nightly: Nightly, command: Run) -> None:
    nightly.desk.on_version = lambda _body: None

    code, said = command("run", "nightly", "--no-wait")

    assert (code, said.startswith("asked for: a run of nightly, ")) == (0, True)


def test_a_name_that_does_not_exist_is_reported(nightly: Nightly, command: Run) -> None:
    code, said = command("run", "weekly")

    assert code == 3
    assert "there is no TrainingJob weekly in namespace team" in said


def test_another_request_in_its_place_is_reported(nightly: Nightly, command: Run) -> None:
    nightly.desk.on_version = lambda _body: {"metadata": {"annotations": {"modelwright.dev/run": "other"}}}

    code, said = command("run", "nightly")

    assert code == 1
    assert "another request has taken its place: other" in said
