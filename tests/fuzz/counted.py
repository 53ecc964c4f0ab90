"""A profile for each of the fuzzed models, and what has to hold of the counts whatever is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fuzz.engine import Finding
from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.watching.places import places
from modelwright_serving.watching.profile import Feature, Predictions, Profile, Ranges, UnusableError
from modelwright_serving.watching.reading import NO_PROFILE, Reading
from modelwright_serving.watching.watch import Watch

_RANGES = Ranges((-1.0, 0.0, 1.0), -100.0, 100.0)


def reading(path: Path, signature: Signature) -> Reading:
    """All features of a model that can be counted, and its first output of numbers as a regression's value."""
    (first, *others) = signature.inputs
    wide = len(first.shape) == 2 and first.shape[1] > 1 and not others
    names = (
        [f"x{place}" for place in range(first.shape[1])] if wide else [spec.name for spec in signature.inputs]
    )
    kinds = [first.datatype] * len(names) if wide else [spec.datatype for spec in signature.inputs]
    features = tuple(
        Feature(name, "categorical", values=("a", "é"))
        if kind == "BYTES"
        else Feature(name, "numeric", _RANGES)
        for name, kind in zip(names, kinds, strict=True)
    )
    predictions = next((_predictions(spec) for spec in signature.outputs if spec.datatype != "BYTES"), None)
    profile = Profile(features, 0, first.name if wide else None, None, predictions)
    try:
        return replace(Reading(path), places=places(profile, signature), reason=None)
    except UnusableError:
        return Reading(path)


def _predictions(spec: TensorSpec) -> Predictions:
    if spec.shape[1:] == (2,):
        return Predictions((0, 1), 1, table=spec.name, is_probable=True)
    return Predictions(value=spec.name, ranges=_RANGES)


def check(watch: Watch) -> None:
    """Finding if counting has failed, or if a row is counted twice or half."""
    report = watch.report()
    if report["reason"] not in (None, NO_PROFILE):
        raise Finding(f"counting has ended: {report['reason']}")
    for window in report["windows"]:
        if window["counted"] > window["rows"]:
            raise Finding(f"{window['counted']} of {window['rows']} rows are counted")
        for cells in window["features"] or ():
            if sum(cells[:-1]) != window["counted"]:
                raise Finding(f"a feature has {sum(cells[:-1])} of {window['counted']} rows")
