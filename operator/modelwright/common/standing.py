"""Whether a ModelVersion is Ready, and what is in the way if it is not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.engine.objects import Body, status_of

# Why a version is not Ready although its file is sound: its gates and people decide that.
GATE_FAILED, GATE_INCONCLUSIVE = "GateFailed", "GateInconclusive"
AWAITING_APPROVAL, REJECTED = "AwaitingApproval", "Rejected"
# The gates of another version of the same file have not passed.
SAME_FILE = "SameFileRefused"
# The run that made it has written other gates or approvals into its spec.
TERMS_CHANGED = "TermsChanged"
WITHHELD = frozenset((GATE_FAILED, GATE_INCONCLUSIVE, AWAITING_APPROVAL, REJECTED, SAME_FILE, TERMS_CHANGED))


@dataclass(frozen=True)
class Standing:
    """The condition Ready of a version. `ready`: None while it is not known.

    `stalled`: True if nothing changes until a person does something.
    """

    ready: bool | None
    reason: str = ""
    message: str = ""
    stalled: bool = False

    @property
    def is_withheld(self) -> bool:
        """True if its gates, a lacking approval or a rejection keep it from being Ready."""
        return self.ready is False and self.reason in WITHHELD

    @property
    def is_expected(self) -> bool:
        """True while it is checked, and nothing is known to be in the way."""
        return self.ready is None and not self.stalled

    @property
    def why(self) -> str:
        """Suffix with the reason and, unless it is in progress, the message; empty if there is no condition yet."""
        parts = (self.reason, self.message if self.ready is False else "")
        return "".join(f": {part}" for part in parts if part)


def standing(version: Body) -> Standing:
    """Returns how a version stands."""
    conditions = status_of(version).get("conditions") or ()
    found: Mapping[str, Mapping[str, Any]] = {
        str(condition.get("type")): condition for condition in conditions
    }
    ready = found.get("Ready", {})
    return Standing(
        {"True": True, "False": False}.get(str(ready.get("status"))),
        str(ready.get("reason") or ""),
        str(ready.get("message") or ""),
        stalled=found.get("Stalled", {}).get("status") == "True",
    )


def is_ready(version: Body) -> bool:
    """True if a version may be served."""
    return standing(version).ready is True


def has_facts(version: Body) -> bool:
    """True if the status of a version holds what is known of its file, and of its gates if it has any."""
    status = status_of(version)
    known = any(condition.get("type") == "ArtifactVerified" for condition in status.get("conditions") or ())
    return known and bool(status.get("gates") or not version["spec"].get("gates"))
