"""What holds of ModelVersions whatever people do, in random order, while the operator restarts and loses its status."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
from unit.given import words
from unit.given.approvals import WHY
from unit.given.resources import InferenceService, ModelVersion, a_service, a_world

from modelwright.common.facts import APPROVALS_POLICY, IN_FORCE

PEOPLE = ("alice", "bob", "carol")
EVALUATE = {"uri": "configmap://x/y.csv", "target": "t"}
LIMIT = {"name": "good", "metric": "roc_auc", "min": 0.9}
EVIDENCE: tuple[dict[str, Any] | None, ...] = (
    {"value": 0.95, "samples": 1000},
    {"value": 0.5, "samples": 1000},
    {"value": 0.95, "samples": 10},
    {"reason": "OneClass"},
    {"value": 0.99, "samples": 1000, "source": "Reported"},
    None,
)


class Life:
    """Versions of one file, and what people do to them."""

    def __init__(self, chance: Random) -> None:
        self.chance, self.world = chance, a_world()
        self.services = [a_service(self.world, version=None, name=name) for name in ("churn", "other")]
        self.versions: list[ModelVersion] = []
        self.writes()

    def writes(self) -> None:
        """A person writes another version of the file, and the Job measures something, or nothing."""
        gated, place = self.chance.random() < 0.7, len(self.versions)
        spec: dict[str, Any] = {
            "model": "churn",
            "artifact": words.artifact(),
            "lineage": {"author": "alice"},
        }
        if gated:
            spec |= {"gates": [LIMIT], "evaluate": EVALUATE, "defaultGates": "Disabled"}
            spec["onInconclusive"] = self.chance.choice(("Hold", "Reject", "Allow"))
        if self.chance.random() < 0.7:
            required, excluded = self.chance.choice((0, 1, 2)), self.chance.random() < 0.3
            spec["approval"] = {"required": required, **({"excludeAuthor": True} if excluded else {})}
        version = ModelVersion(self.world, f"churn-{place}", spec).settles()
        found = self.chance.choice(EVIDENCE) if gated else None
        gates = [{"name": "good", "metric": "roc_auc", **found}] if found is not None else []
        version.pod().ends("verify", words.verified(gates=gates))
        self.versions.append(version.job_completes())
        self.world.after(self.chance.choice((0, 5)))

    def writes_another(self) -> None:
        """There are at most three versions."""
        if len(self.versions) < 3:
            self.writes()

    def decides(self) -> None:
        """A person approves, overrides or rejects, as far as the API server allows it."""
        version, by = self.chance.choice(self.versions), self.chance.choice(PEOPLE)
        entries = list(version.body["spec"].get("approvals") or ())
        before: dict[str, Any] = next((entry for entry in entries if entry["by"] == by), {})
        if before.get("override"):
            return
        decision = self.chance.choice(("Approve", "Approve", "Reject"))
        entry: dict[str, Any] = {"by": by, "decision": decision}
        if decision == "Approve" and self.chance.random() < 0.3:
            entry |= {"override": True, "reason": WHY}
        version.changes(approvals=[*(each for each in entries if each["by"] != by), entry])

    def changes_git(self) -> None:
        """A pull request changes the files that a service approves."""
        service: InferenceService = self.chance.choice(self.services)
        letters = self.chance.choice(((), ("a",), ("b", "a")))
        service.changes(approvedDigests=[words.digest(letter) for letter in letters])

    def finds_out(self) -> None:
        """The operator finds out about the policy, or does not know any more."""
        fact = self.chance.choice((IN_FORCE, IN_FORCE, "it is not there", None))
        for version in self.versions:
            self.world.cache.note(version.key, APPROVALS_POLICY, fact)

    def restarts(self) -> None:
        """The operator restarts. It does not know about the policy then."""
        self.world.restart()

    def settles(self) -> None:
        """The operator looks at all versions until nothing is left to do."""
        for _ in range(2):  # One counts for the others.
            for version in self.versions:
                version.settles()


def rejected(versions: Iterable[ModelVersion]) -> bool:
    return any(
        entry["decision"] == "Reject"
        for version in versions
        for entry in version.body["spec"].get("approvals") or ()
    )


def people(version: ModelVersion) -> set[str]:
    """Who has approved it, and counts."""
    spec = version.body["spec"]
    excluded = spec["lineage"]["author"] if spec.get("approval", {}).get("excludeAuthor") else None
    return {entry["by"] for entry in spec.get("approvals") or () if entry["decision"] == "Approve"} - {
        excluded
    }


def is_overridden(version: ModelVersion) -> bool:
    entries = version.body["spec"].get("approvals") or ()
    return any(entry["by"] in people(version) and entry.get("override") for entry in entries)


def gates_pass(version: ModelVersion) -> bool:
    """All gates of the spec have a verdict that lets it through."""
    spec = version.body["spec"]
    verdicts = {gate["name"]: gate["verdict"] for gate in version.status.get("gates", ())}
    fine = ("Pass", "Inconclusive") if spec.get("onInconclusive") == "Allow" else ("Pass",)
    return all(verdicts.get(gate["name"]) in fine for gate in spec.get("gates") or ())


def is_approved(version: ModelVersion, services: Iterable[InferenceService]) -> bool:
    terms = version.body["spec"].get("approval", {"required": 0})
    git = any(words.digest() in service.body["spec"].get("approvedDigests", ()) for service in services)
    by_git = 1 if git and not terms.get("excludeAuthor") else 0
    required: int = terms["required"]
    return (len(people(version)) or by_git) >= required


@pytest.mark.parametrize("seed", range(6))
def test_a_version_is_ready_only_if_gates_and_people_let_it_through(seed: int) -> None:
    chance = Random(seed)
    life = Life(chance)
    steps: list[Callable[[], None]] = [
        life.decides, life.decides, life.changes_git, life.finds_out, life.finds_out, life.restarts,
        life.writes_another,
    ]  # fmt: skip
    for _ in range(15):
        chance.choice(steps)()
        life.settles()
        for version in life.versions:
            if version.is_ready:
                assert not rejected(life.versions)
                assert gates_pass(version) or is_overridden(version)
                assert is_approved(version, life.services)
            assert not version.looks_once(), "a second look writes nothing"

    for version in life.versions:
        life.world.cache.note(version.key, APPROVALS_POLICY, IN_FORCE)
    life.settles()
    for version in life.versions:
        let_through = (gates_pass(version) and version.reason != "SameFileRefused") or is_overridden(version)
        due = let_through and is_approved(version, life.services) and not rejected(life.versions)
        assert version.is_ready is due, "what is let through is Ready"
        names = {entry["by"] for entry in version.status.get("approvals", ())}
        assert names >= {entry["by"] for entry in version.body["spec"].get("approvals") or ()}
    told = [(event.reason, event.message) for event in life.world.told.events]
    assert all(reason in {"Approved", "Rejected", "GateFailed", "GateInconclusive", "SameFileRefused", "Overridden",
                          "Verified"} for reason, _ in told)  # fmt: skip
