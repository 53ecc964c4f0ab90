"""What a person says of a ModelVersion: what may be said in its present state, how it is written, what follows. Pure.

The API server decides who may say it. This module finds early what would be of no use, so that it is not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelwright.api.gates import Approval
from modelwright.cli.errors import Refused
from modelwright.cli.options import Decide
from modelwright.common.standing import SAME_FILE, TERMS_CHANGED
from modelwright.view.model import Object
from modelwright.view.version import JudgedGate, Version, measured, shape_of

# In the words of the command line.
DONE = {"Approve": "approved", "Reject": "rejected"}


def entry(command: Decide, user: str, version: Version) -> dict[str, Any]:
    """Returns the entry of spec.approvals; Refused if it would be of no use, or could not be written."""
    said = Approval(
        by=user, decision=command.decision, reason=command.reason, override=command.override or None
    )
    before = stated(version, user)
    if said != before:
        _require_use(command, version, before)
    return said.model_dump(mode="json", by_alias=True, exclude_none=True)


def _require_use(command: Decide, version: Version, before: Approval | None) -> None:
    name, missing = version.name, withheld(version)
    takes_back = before is not None and before.decision == "Reject"
    if before is not None and before.override:
        raise Refused(
            f"{before.by} has approved {name} with override ({before.reason}), and that stays. Another person who may "
            "approve can reject it"
        )
    alone = command.decision == "Approve" and not command.override and not _is_let_through(version)
    if alone and missing and _is_judged(version) and not takes_back:
        raise Refused("\n".join(_without_override(name, missing)))
    if command.override and not missing:
        raise Refused(
            f"nothing was written: no gate keeps {name} from being Ready. Approve it without --override"
        )


def _without_override(name: str, missing: list[str]) -> Iterable[str]:
    yield f"nothing was written: {name} has not passed, and an approval alone does not let it through"
    yield from (f"  {line}" for line in missing)
    yield from _way_through(name)


def _way_through(name: str) -> tuple[str, str]:
    return (
        "To let it through all the same, which is shown from then on:",
        f"  modelwright approve {name} --override --reason TEXT",
    )


def remarks(command: Decide, version: Version) -> list[str]:
    """Returns what of the version has not passed, while an approval is written all the same; empty if all has."""
    missing = [f"  {line}" for line in withheld(version)]
    if command.decision != "Approve" or not missing:
        return []
    if command.override:
        return ["this is let through all the same:", *missing]
    if _is_let_through(version):
        return ["an approval with override stands, which lets this through:", *missing]
    if not _is_judged(version):
        return [f"this does not let {version.name} through yet; its gates are not measured:", *missing]
    return [
        f"this takes the rejection back, and does not let {version.name} through yet:",
        *missing,
        *_way_through(version.name),
    ]


def _is_judged(version: Version) -> bool:
    """True if the operator knows the file, and so what was measured for its gates."""
    return version.condition("ArtifactVerified") is not None


def _is_let_through(version: Version) -> bool:
    """True if an approval with override stands, and counts."""
    terms = version.spec.approval
    author = version.lineage.author if terms is not None and terms.exclude_author else None
    return any(each.override and each.by != author for each in version.spec.approvals or ())


def stated(version: Version, user: str) -> Approval | None:
    """Returns what this user has said so far."""
    return next((each for each in version.spec.approvals or () if each.by == user), None)


def withheld(version: Version) -> list[str]:
    """Returns what keeps the version from being Ready unless an approval overrides it, a line for each."""
    gates = [
        gate
        for gate in version.gates()
        if gate.verdict == "Fail" or (gate.verdict == "Inconclusive" and _holds(gate, version))
    ]
    ready = version.condition("Ready")
    others = [ready.message] if ready is not None and ready.reason in (SAME_FILE, TERMS_CHANGED) else []
    return [*map(gate_line, gates), *others]


def _holds(gate: JudgedGate, version: Version) -> bool:
    if gate.found is not None:
        return gate.found.on_inconclusive != "Allow"
    asked = (gate.demand.on_inconclusive if gate.demand is not None else None) or version.spec.on_inconclusive
    return asked != "Allow"


def gate_line(gate: JudgedGate) -> str:
    """Returns a gate in one line: verdict, name, what it asks, what was found."""
    found = gate.found
    parts = [f"{gate.verdict:<12}  {gate.name}"]
    if demand := shape_of(gate.demand):
        parts.append(demand)
    if found is None:
        return "  ".join([*parts, "not measured yet"])
    if found.value is not None:
        parts.append(f"is {measured(found.value, found.low, found.high)}")
    if found.samples is not None:
        needed = f" of about {found.samples_needed:,}" if found.samples_needed else ""
        parts.append(f"{found.samples:,}{needed} rows")
    return "  ".join([*parts, *([found.message] if found.message else [])])


def patch(body: Object, said: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the merge patch that puts the entry into spec.approvals; None if it stands there already.

    It holds the uid and the version of the object that was read: if others have said something in the meantime, the API
    server answers with a conflict.
    """
    approvals: list[Mapping[str, Any]] = list((body.get("spec") or {}).get("approvals") or ())
    if dict(said) in [dict(each) for each in approvals]:
        return None
    others = [each for each in approvals if each.get("by") != said["by"]]
    meta = body["metadata"]
    return {
        "metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},
        "spec": {"approvals": [*others, said]},
    }


def is_recorded(version: Version, said: Mapping[str, Any]) -> bool:
    """True if the operator has taken it in: the status shows it as it is, and the conditions are newer."""
    return any(
        (each.how, each.by, each.decision, each.reason, bool(each.override))
        == ("ModelVersion", said["by"], said["decision"], said.get("reason"), bool(said.get("override")))
        for each in version.status.approvals
    )


def follows(version: Version, said: Mapping[str, Any]) -> Iterable[str]:
    """Yields what the operator makes of it: the conditions, and whether it knows who that was."""
    ready, approved = version.condition("Ready"), version.condition("Approved")
    if approved is not None and (ready is None or approved.message != ready.message):
        yield f"Approved={approved.status} {approved.reason}: {approved.message}"
    if ready is not None:
        yield f"Ready={ready.status} {ready.reason}: {ready.message}"
    if any(each.by == said["by"] and not each.verified for each in version.status.approvals):
        yield (
            "This cluster does not check who approves (verified: false): the chart installs the policy with "
            "approvals.policy.enabled"
        )
