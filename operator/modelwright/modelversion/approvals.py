"""Who has approved or rejected a ModelVersion, and whether that is enough. Pure.

The status records each statement once, when the operator meets it first. A rejection counts at once, and for all
versions of the same file: else the file would be served under another name. An approval counts once it is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from modelwright.api.gates import ApprovalStatus
from modelwright.common.approvals import Statement, statements
from modelwright.common.conditions import Aspect
from modelwright.common.facts import IN_FORCE
from modelwright.common.reading import read_each
from modelwright.common.standing import AWAITING_APPROVAL, REJECTED
from modelwright.common.times import to_timestamp
from modelwright.engine.objects import Body, name
from modelwright.engine.plan import Event
from modelwright.modelversion.observed import Observed

APPROVED = "Approved"
# As many as the status holds.
MOST_RECORDED = 64
# A message names at most this many people, and this many characters of a reason.
NAMED, REASON_LENGTH = 5, 200
UNVERIFIED = (
    "the API server did not check who approved: the chart's approvals.policy.enabled was not in force"
)


@dataclass(frozen=True)
class Approvals:
    """What is said of a version.

    `recorded`: what the status shows, with what was recorded before and does not count any more. `said`: what counts.
    `pending`: approvals that are not recorded yet. `rejections`: a phrase for each, and `rejected_by` who can take it
    back. `required`: how many people have to approve. `author`: whose approval does not count. `unread`: who makes a
    statement that this release cannot read, which does not count.
    """

    recorded: tuple[ApprovalStatus, ...] = ()
    said: frozenset[Statement] = frozenset()
    pending: tuple[Statement, ...] = ()
    rejections: tuple[str, ...] = ()
    required: int = 0
    author: str | None = None
    excludes_author: bool = False
    unread: tuple[str, ...] = ()

    @property
    def people(self) -> tuple[ApprovalStatus, ...]:
        """The approvals that count, each of another person."""
        return tuple(
            entry for entry in self._approving if entry.how == "ModelVersion" and not self._is_author(entry)
        )

    @property
    def by_service(self) -> tuple[ApprovalStatus, ...]:
        """The approvals by an InferenceService. Who wrote them is not known: it may be the author."""
        return tuple(
            entry for entry in self._approving if entry.how == "InferenceService" and not self.excludes_author
        )

    @property
    def count(self) -> int:
        """How many people have approved it for certain. The one who changed a service may be one of those named."""
        return len({entry.by for entry in self.people}) or min(1, len(self.by_service))

    @property
    def is_rejected(self) -> bool:
        """True if anyone has rejected the file."""
        return bool(self.rejections)

    @property
    def is_enough(self) -> bool:
        """True if as many people have approved it as are asked for."""
        return self.count >= self.required

    @property
    def override(self) -> ApprovalStatus | None:
        """The approval that lets it through although a gate has not passed."""
        return next((entry for entry in self.people if entry.override), None)

    def joined(self, other: Approvals) -> Approvals:
        """With the approvals of another version of the same file, under the terms of this one."""
        return replace(self, recorded=(*self.recorded, *other.recorded), said=self.said | other.said)

    @property
    def _approving(self) -> tuple[ApprovalStatus, ...]:
        return tuple(
            entry for entry in self.recorded if entry.decision == "Approve" and _statement(entry) in self.said
        )

    def _is_author(self, entry: ApprovalStatus) -> bool:
        return self.excludes_author and entry.by == self.author


def approvals(observed: Observed, now: datetime) -> Approvals:
    """Returns what is said of a version. What is new is recorded as of `now`, once the policy's state is known."""
    known = {_statement(entry): entry for entry in _readable(observed.written_status.get("approvals") or ())}
    said = statements(observed.body, observed.approving)
    policy = observed.approvals_policy
    at, verified = to_timestamp(now), policy == IN_FORCE
    entries = {
        each: known.get(each) or _entry(each, at, verified=verified)
        for each in said
        if each in known or policy
    }
    recorded = [entry for entry in entries.values() if entry is not None]
    # An override is shown from then on, whatever becomes of the spec.
    former = [entry for each, entry in known.items() if entry.override and each not in said]
    terms = observed.spec.get("approval") or {}
    return Approvals(
        tuple((*former, *recorded)[:MOST_RECORDED]),
        frozenset(said),
        tuple(each for each in said if each not in known and not policy),
        (*_rejections(observed.body), *_rejections_of_siblings(observed)),
        terms.get("required", 1) if terms else 0,
        _author(observed.spec),
        bool(terms.get("excludeAuthor")),
        tuple(each.by for each, entry in entries.items() if entry is None),
    )


def approvals_of_sibling(sibling: Body, approving: Sequence[Body]) -> Approvals:
    """Returns the approvals that the status of another version of the same file shows, and that still stand.
    `approving`: the services that approve the file."""
    spec = sibling["spec"]
    terms = spec.get("approval") or {}
    return Approvals(
        tuple(_readable((sibling.get("status") or {}).get("approvals") or ())),
        frozenset(statements(sibling, approving)),
        required=terms.get("required", 1) if terms else 0,
        author=_author(spec),
        excludes_author=bool(terms.get("excludeAuthor")),
    )


def approved(version: str, found: Approvals) -> Aspect | None:
    """Returns the condition Approved; None where no approval is asked for or given."""
    if found.is_rejected:
        return Aspect(APPROVED, False, REJECTED, "; ".join(found.rejections))
    if not found.required and not found.count:
        return None
    if found.is_enough:
        return Aspect(APPROVED, True, APPROVED, "; ".join((_approvers(found), *_warnings(found))))
    return Aspect(APPROVED, False, AWAITING_APPROVAL, awaited(version, found))


def awaited(version: str, found: Approvals) -> str:
    """Returns how many approvals there are, and how to give one."""
    who = f" ({_approvers(found)})" if found.count else ""
    command = f"modelwright approve {version}"
    services = not found.excludes_author and found.required == 1
    git = ", or name its digest in spec.approvedDigests of an InferenceService" if services else ""
    waits = (
        "; an approval is recorded once it is known whether the API server checks them"
        if found.pending
        else ""
    )
    parts = (
        f"it has {found.count} of {found.required} approvals{who}{waits}",
        *_warnings(found),
        f"{command}{git}",
    )
    return "; ".join(parts)


def approval_events(before: Iterable[object], found: Approvals, policy: str | None) -> tuple[Event, ...]:
    """Returns the event of each approval that is recorded now. `before`: as the status was written last.

    A rejection has that of Ready.
    """
    known = {_statement(entry) for entry in _readable(before)}
    new = [
        entry for entry in found.recorded if entry.decision == "Approve" and _statement(entry) not in known
    ]
    return tuple(
        Event("Normal", APPROVED, approval_text(entry))
        if entry.verified
        else Event("Warning", APPROVED, f"{approval_text(entry)}; {UNVERIFIED}: {policy}")
        for entry in new
    )


def written(found: Approvals) -> list[dict[str, Any]]:
    """Returns the approvals as the status holds them."""
    return [entry.model_dump(mode="json", by_alias=True, exclude_none=True) for entry in found.recorded]


def approval_text(entry: ApprovalStatus) -> str:
    """Returns who has approved it, how, and why."""
    if entry.how == "InferenceService":
        return f"InferenceService {entry.by} approves its file (spec.approvedDigests)"
    override = ", whatever its gates found" if entry.override else ""
    return f"{entry.by} has approved it{override}{_because(entry.reason)}"


def warning(entry: ApprovalStatus) -> str:
    """Returns the warning that belongs behind an approval which was not checked; empty if it was."""
    return "" if entry.verified else f"; {UNVERIFIED}"


def _approvers(found: Approvals) -> str:
    """Who has approved it."""
    entries = found.people or found.by_service
    more = f"; and {len(entries) - NAMED} more" if len(entries) > NAMED else ""
    return "; ".join(approval_text(entry) for entry in entries[:NAMED]) + more


def _warnings(found: Approvals) -> tuple[str, ...]:
    """What a reader of the approvals should know."""
    warnings = []
    if found.excludes_author and any(entry.by == found.author for entry in found.recorded):
        warnings.append(f"the approval of {found.author}, who wrote the recipe, does not count")
    if found.excludes_author and found.author is None:
        warnings.append("lineage names no author, so approval.excludeAuthor leaves out no person")
    if any(not entry.verified for entry in found.people or found.by_service):
        warnings.append(UNVERIFIED)
    warnings += [
        f"this release of the operator cannot read the statement of {_cut(by)}, so it does not count"
        for by in found.unread[:NAMED]
    ]
    return tuple(warnings)


def _rejections(version: Body, other: str = "") -> tuple[str, ...]:
    """A phrase for each rejection of a version. `other`: the same of its file, if it is another version."""
    return tuple(
        f"{entry['by']} has rejected {other or 'it'}{_because(entry.get('reason'))}; only {entry['by']} can take that "
        f"back: modelwright approve {name(version)}"
        for entry in version["spec"].get("approvals") or ()
        if entry.get("decision") == "Reject"
    )


def _rejections_of_siblings(observed: Observed) -> tuple[str, ...]:
    found = read_each(
        observed.siblings,
        lambda sibling: _rejections(sibling, f"the same file as ModelVersion {name(sibling)}"),
    )
    return tuple(phrase for _, phrases in found for phrase in phrases)


def _author(spec: Mapping[str, Any]) -> str | None:
    """Who wrote the recipe; None if it is not known."""
    author: str | None = (spec.get("lineage") or {}).get("author")
    return author


def _because(reason: str | None) -> str:
    if not reason:
        return ""
    return f" ({_cut(reason)})"


def _cut(text: str) -> str:
    return text if len(text) <= REASON_LENGTH else f"{text[:REASON_LENGTH]}..."


def _entry(said: Statement, at: str, *, verified: bool) -> ApprovalStatus | None:
    """The statement as the status holds it; None if it is of a later release, and this one cannot read it."""
    entry = {
        "by": said.by,
        "at": at,
        "how": said.how,
        "decision": said.decision,
        "reason": said.reason,
        "override": said.override or None,
        "verified": verified,
    }
    return next(iter(_readable((entry,))), None)


def _statement(entry: ApprovalStatus) -> Statement:
    return Statement(entry.by, entry.how, entry.decision, entry.reason, bool(entry.override))


def _readable(entries: Iterable[object]) -> list[ApprovalStatus]:
    """The entries of a status that can be read. Another release may have written them."""
    found = []
    for entry in entries:
        try:
            found.append(ApprovalStatus.model_validate(entry))
        except ValidationError:
            continue
    return found
