"""Parses an answer of Prometheus: one number, or why there is none. Pure; the request is made in `sampling`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

MESSAGE_LENGTH = 512
Why = Literal[
    "NoData",
    "NotANumber",
    "TooManySeries",
    "BadQuery",
    "PrometheusFailed",
    "PrometheusUnreachable",
    "PrometheusUntrusted",
    "PrometheusDenied",
    "PrometheusNotConfigured",
]


@dataclass(frozen=True)
class NoValue:
    """Why a query has no value. It counts neither for nor against a canary."""

    reason: Why
    message: str


@dataclass(frozen=True)
class Reading:
    """The result of a query. `query`: its text in the spec at that time, to recognise a result of another text.

    `look`: when it was queried, in seconds of Unix time, to distinguish it from the result before.
    """

    query: str
    result: float | NoValue
    look: int = 0


@dataclass(frozen=True)
class QueryResults:
    """The answers of Prometheus in the step that began at `since`, by the query's name."""

    since: str
    readings: Mapping[str, Reading] = field(default_factory=dict)


class _Sample(BaseModel):
    value: tuple[float, str] | None = None  # a native histogram has none


class _Vector(BaseModel):
    type: Literal["vector"] = Field(alias="resultType")
    result: list[_Sample]


class _Scalar(BaseModel):
    type: Literal["scalar"] = Field(alias="resultType")
    result: tuple[float, str]


class _NoNumber(BaseModel):
    type: Literal["matrix", "string"] = Field(alias="resultType")


class _Success(BaseModel):
    status: Literal["success"]
    data: Annotated[_Vector | _Scalar | _NoNumber, Field(discriminator="type")]


class _Error(BaseModel):
    status: Literal["error"]
    type: str = Field(alias="errorType")
    error: str


_ANSWER: TypeAdapter[_Success | _Error] = TypeAdapter(
    Annotated[_Success | _Error, Field(discriminator="status")]
)
# Errors that are in the query itself.
_AUTHORS = frozenset(("bad_data", "execution"))


def result(status: int, body: bytes) -> float | NoValue:
    """Returns the number in an answer, or why there is none."""
    try:
        answer = _ANSWER.validate_json(body)
    except ValidationError:
        return NoValue("PrometheusFailed", _not_of_prometheus(status))
    if isinstance(answer, _Error):
        reason: Why = "BadQuery" if answer.type in _AUTHORS else "PrometheusFailed"
        return NoValue(reason, _line(answer.error))
    if status != 200:
        return NoValue("PrometheusFailed", _not_of_prometheus(status))
    return _value(answer.data)


def steady(before: Reading | None, now: Reading) -> Reading:
    """Returns the reading to keep. An error with the same reason keeps its first message: messages may name another
    series each time, and every change of the status costs a write."""
    if before is None or before.query != now.query:
        return now
    if isinstance(before.result, NoValue) and isinstance(now.result, NoValue):
        return before if before.result.reason == now.result.reason else now
    return now


def _value(data: _Vector | _Scalar | _NoNumber) -> float | NoValue:
    match data:
        case _Scalar():
            return _number(data.result[1])
        case _Vector():
            return _single(data.result)
        case _NoNumber(type="matrix"):
            return NoValue("BadQuery", "it gives a range of samples: wrap it in a function like rate()")
        case _NoNumber():
            return NoValue("BadQuery", "it gives a text, and has to give a number")


def _single(samples: list[_Sample]) -> float | NoValue:
    if not samples:
        return NoValue("NoData", "no series matches it, or none has samples in its range yet")
    if len(samples) > 1:
        return NoValue("TooManySeries", "it gives several series: make one of them, as by sum()")
    value = samples[0].value
    return NoValue("NotANumber", "it gives a histogram") if value is None else _number(value[1])


def _number(text: str) -> float | NoValue:
    try:
        value = float(text)
    except ValueError:
        return NoValue("PrometheusFailed", "its answer holds no number")
    # Without requests, a ratio of two rates is 0 / 0.
    return value if isfinite(value) else NoValue("NotANumber", f"it gives {value}")


def _not_of_prometheus(status: int) -> str:
    return "its answer is none of Prometheus" if status == 200 else f"it answers with HTTP status {status}"


def _line(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:MESSAGE_LENGTH]
