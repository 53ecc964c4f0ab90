"""Reads a ModelVersion for people: what of it this release understands, and what it does not. Pure.

Another release may have written the object. A field that does not fit is left out, and `Version.unread` names it: a
page that silently leaves out a gate would say something wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelwright.api.base import Condition, Model
from modelwright.api.gates import ApprovalStatus, Gate, GateStatus
from modelwright.api.modelversion import DataSource, Lineage, Metric, ModelVersionSpec, ModelVersionStatus
from modelwright.api.rundocument import gates_of_version
from modelwright.common.reading import read_with_faults
from modelwright.view.format import number

# The main metric is the first one that a version has. The operator writes it as status.score; this is the same order.
MAIN = ("roc_auc", "balanced_accuracy", "r2", "accuracy", "rmse", "mae")


class Unreadable(ValueError):  # noqa: N818 - it describes the object
    """The object is no ModelVersion that this release understands."""


class _Metadata(Model):
    name: str = ""
    namespace: str = ""
    creation_timestamp: str | None = None


class _Body(Model):
    metadata: _Metadata = _Metadata()
    spec: ModelVersionSpec | None = None
    status: ModelVersionStatus = ModelVersionStatus()


@dataclass(frozen=True)
class JudgedGate:
    """A gate of a version: its demand, if the spec has it, and what was found, if it was judged."""

    name: str
    demand: Gate | None
    found: GateStatus | None

    @property
    def verdict(self) -> str:
        """Pass, Fail or Inconclusive; a gate that nothing is known of has not passed."""
        return self.found.verdict if self.found is not None else "Inconclusive"


@dataclass(frozen=True)
class Version:
    """A ModelVersion. `unread`: the paths of fields that this release does not understand."""

    name: str
    namespace: str
    created: str | None
    spec: ModelVersionSpec
    status: ModelVersionStatus
    unread: tuple[str, ...] = ()

    @property
    def lineage(self) -> Lineage:
        """Where it comes from; without fields if nothing is known."""
        return self.spec.lineage or Lineage()

    @property
    def recipe(self) -> Mapping[str, Any]:
        """What of a TrainingJob has made it; empty if that is not known."""
        return self.lineage.recipe or {}

    @property
    def made(self) -> str | None:
        """When it was finished, or else when the object was made."""
        return self.lineage.completion_time or self.created

    @property
    def digest(self) -> str:
        """The first twelve digits of the digest of its file."""
        return self.spec.artifact.digest.removeprefix("sha256:")[:12]

    @property
    def data_digest(self) -> str | None:
        """The digest of the data that it was trained on."""
        return next((source.digest for source in self.lineage.data or () if source.digest), None)

    @property
    def rows(self) -> tuple[int | None, int] | None:
        """How many rows it has learnt from, if that is known, and how many it was scored on."""
        found = self.status.evaluation
        return None if found is None else (found.train_rows or None, found.holdout_rows)

    @property
    def scored_on(self) -> tuple[str, bool]:
        """What says which rows it was scored on, and whether equal rows follow from equal words."""
        evaluate, data = self.spec.evaluate, mapping(self.recipe.get("data"))
        if evaluate is not None:
            written = evaluate.model_dump(mode="json", by_alias=True, exclude_none=True)
            return json.dumps(written, sort_keys=True), evaluate.digest is not None
        split = {name: data.get(name) for name in ("target", "sample", "holdout")}
        holdout = mapping(split["holdout"])
        known = self.data_digest is not None and bool(data) and "uri" not in holdout
        return json.dumps([self.data_digest, split], sort_keys=True, default=str), known

    @property
    def ready(self) -> Condition | None:
        """The condition Ready."""
        return self.condition("Ready")

    @property
    def overrides(self) -> list[ApprovalStatus]:
        """The approvals that let it through although a gate had not passed."""
        return [each for each in self.status.approvals if each.override and each.decision == "Approve"]

    @property
    def main_metric(self) -> Metric | None:
        """The metric that status.score is about."""
        by_name = {metric.name: metric for metric in self.status.metrics}
        named = (self.status.score or "").partition(" ")[0]
        return next((by_name[name] for name in (named, *MAIN) if name in by_name), None)

    def condition(self, name: str) -> Condition | None:
        """The condition of this type."""
        return next((each for each in self.status.conditions if each.type == name), None)

    def gates(self) -> list[JudgedGate]:
        """Its gates: those that were judged, then those that were not."""
        demands = {name: gate for gate in self._demands() if (name := gate.name) is not None}
        judged = [JudgedGate(found.name, demands.get(found.name), found) for found in self.status.gates]
        known = {gate.name for gate in judged}
        return [
            *judged,
            *(JudgedGate(name, gate, None) for name, gate in demands.items() if name not in known),
        ]

    def _demands(self) -> list[Gate]:
        written = self.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        return [Gate.model_validate(gate) for gate in gates_of_version(written)]


def read_version(body: object) -> Version:
    """Returns the version that an object of the API server describes; Unreadable if the fact itself cannot be read."""
    found, unread = read_with_faults(_Body, body)
    if found.spec is None or not found.metadata.name:
        where = ", ".join(unread[:3]) or "it has no spec"
        raise Unreadable(
            f"the ModelVersion {found.metadata.name or '(without a name)'} cannot be read: {where}. "
            "Is this program as old, or as new, as the operator? `modelwright --version` says which it is"
        )
    meta = found.metadata
    return Version(meta.name, meta.namespace, meta.creation_timestamp, found.spec, found.status, unread)


def mapping(value: object) -> Mapping[str, Any]:
    """Returns a value of a recipe if it has fields, else none: the API server does not check what a recipe holds."""
    return value if isinstance(value, Mapping) else {}


def source_text(source: DataSource) -> str:
    """Returns where data comes from, and what DVC calls it."""
    tracked = source.dvc
    return source.uri if tracked is None else f"{source.uri}, {tracked.path} of DVC with md5 {tracked.md5}"


def interval(low: float | None, high: float | None) -> str:
    """Returns an interval in words; empty without one."""
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def measured(value: float, low: float | None, high: float | None) -> str:
    """Returns a value with its interval."""
    ends = interval(low, high)
    return f"{number(value)} ({ends})" if ends else number(value)


def shape_of(demand: Gate | None, metric: str | None = None) -> str:
    """Returns what a gate demands, in words: "roc_auc at least 0.8 where region is eu".

    `metric`: the one that was judged, which the demand may only call main.
    """
    if demand is None:
        return ""
    parts = [metric or demand.metric, *_limits(demand)]
    if demand.slice:
        parts.append(
            "where " + " and ".join(f"{column} is {value}" for column, value in demand.slice.items())
        )
    if demand.sensitive_feature:
        parts.append(f"over the groups of {demand.sensitive_feature}")
    return " ".join(parts)


def _limits(demand: Gate) -> Iterable[str]:
    other = "the Champion" if demand.against == "Champion" else "the baseline"
    above = "above" if demand.excludes(demand.min_change) else "at least"
    below = "below" if demand.excludes(demand.max_change) else "at most"
    words = {
        "at least": demand.min,
        "at most": demand.max,
        f"minus that of {other} {above}": demand.min_change,
        f"minus that of {other} {below}": demand.max_change,
        f"over that of {other} at most": demand.max_ratio,
        "on the training rows better by at most": demand.max_gap,
    }
    return (f"{text} {number(limit)}" for text, limit in words.items() if limit is not None)


def passed(gates: Sequence[JudgedGate]) -> int:
    """Returns how many gates have passed."""
    return sum(1 for gate in gates if gate.verdict == "Pass")


def approval_phrase(approval: ApprovalStatus) -> str:
    """Returns who said what of a version, when and why, in one line."""
    word = "approved" if approval.decision == "Approve" else "rejected"
    over = " although a gate had not passed" if approval.override else ""
    checked = "" if approval.verified else " (the API server has not checked who that was)"
    why = f": {approval.reason}" if approval.reason else ""
    return f"{word} by {approval.by} at {approval.at}{over}{checked}{why}"
