"""The record of a check in the status, and the phrase about a check that has not passed, for messages."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from pydantic import Field, FiniteFloat

from modelwright.api.base import Model, Reason
from modelwright.api.phrases import counted, deciding

# The reasons of a check that has fewer samples than the spec asks for, and of counts that are not known.
TOO_FEW, NOT_MEASURED = "TooFewSamples", "NotMeasured"
# The most characters of `Check.message`.
MESSAGE_LENGTH = 512


class Check(Model):
    """A check of a revision, as it was when the record was written last."""

    name: Annotated[str, Field(max_length=64)] = Field(
        description="What is checked: errorRate, p99Seconds, agreement, ..., or the name of a query."
    )
    result: Literal["Pass", "Fail", "Inconclusive"] = Field(
        description="Inconclusive: there are not enough samples for one of the others."
    )
    reason: Reason = Field(description="Why, in one CamelCase word.")
    message: Annotated[str, Field(max_length=MESSAGE_LENGTH)] | None = Field(
        default=None, description="What keeps it from having samples or a value."
    )
    value: FiniteFloat | None = Field(default=None, description="The number that was measured.")
    low: FiniteFloat | None = Field(
        default=None, description="The lower end of its confidence interval, which holds at every look."
    )
    high: FiniteFloat | None = Field(
        default=None, description="The upper end of its confidence interval. None: there is no bound yet."
    )
    threshold: FiniteFloat | None = Field(default=None, description="Its limit.")
    samples: int = Field(default=0, ge=0, description="How many samples it was made of.")
    samples_needed: int | None = Field(
        default=None, ge=0, description="About how many samples would decide, if the value stays as it is."
    )


class Checked(Protocol):
    """What `need` reads of a check."""

    @property
    def name(self) -> str: ...
    @property
    def result(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def message(self) -> str | None: ...
    @property
    def value(self) -> float | None: ...
    @property
    def threshold(self) -> float | None: ...
    @property
    def samples(self) -> int: ...
    @property
    def samples_needed(self) -> int | None: ...


def need(check: Checked) -> str:
    """Returns what a check that has not passed is at, and what it needs: "agreement: 31 of 100 samples"."""
    if check.reason == NOT_MEASURED:
        return "the metrics of its pods"
    why = f" ({check.message})" if check.message else ""
    return f"{check.name}: {_state(check)}{why}"


def _state(check: Checked) -> str:
    if check.result == "Fail":
        value = "" if check.value is None else f" with {check.value:.4g}"
        limit = "" if check.threshold is None else f", the limit is {check.threshold:.4g}"
        return f"fails{value}{limit}"
    if check.reason == TOO_FEW:
        return progress(check.samples, check.samples_needed)
    if check.samples and check.threshold is not None:
        enough = deciding(check.samples_needed)
        return f"cannot be told apart from its limit with {counted(check.samples)}{enough}"
    return check.reason


def progress(samples: int, needed: int | None) -> str:
    """Returns how many samples there are of those that are needed."""
    return counted(samples) if needed is None else f"{samples:,} of {counted(needed)}"
