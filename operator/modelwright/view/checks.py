"""Describes the checks of a canary: the analysis of the spec with the operator's defaults, as sentences. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelwright.api.inferenceservice import Analysis
from modelwright.view.format import number, percent, span

DEFAULTS: Mapping[str, Any] = Analysis().model_dump(by_alias=True, exclude_none=True)
NO_DATA = {
    "Wait": "it waits on",
    "Pause": "it pauses until somebody resumes it",
    "Promote": "it takes the next step all the same",
    "Rollback": "it is rolled back",
}
SIDES = {"min": "at least", "max": "at most"}
# The order in which the sentences are shown.
SENTENCES: Mapping[str, Callable[[Any], str]] = {
    "maxErrorRate": lambda v: f"at most {percent(v)} of its requests fail",
    "maxP99Increase": lambda v: f"its 99th percentile is at most {percent(v)} above the stable one's",
    "maxP50Increase": lambda v: f"its median is at most {percent(v)} above the stable one's",
    "minAgreement": lambda v: f"at least {percent(v)} of the labels in mirrored answers are the stable one's",
    "maxDifference": lambda v: f"the numbers of 99 of 100 mirrored answers are at most {number(v)} apart",
    "maxScoreDrop": lambda v: (
        f"by feedback its {v.get('metric')} is at most {number(v.get('change', 0))} worse than the stable one's"
    ),
    "maxPredictionShift": lambda v: (
        f"no label's share among its answers is more than {percent(v)} off the stable one's"
    ),
    "maxRestarts": lambda v: (
        f"the containers of a pod end by themselves at most {v} times" if v else "no container ends by itself"
    ),
    "minSamples": lambda v: f"a step takes {v} requests or more to pass",
    "minFailures": lambda v: f"and {v} failed ones or more to fail",
    "falseAlarmRate": lambda v: (
        f"if all of this holds, it is rolled back in at most {percent(v)} of rollouts"
    ),
    "consecutiveFailures": lambda v: f"it is rolled back when {v} looks in a row fail",
}
EXPLAINED = frozenset((*SENTENCES, "queries", "noDataSeconds", "onNoData"))


def checks(analysis: Mapping[str, Any]) -> list[str]:
    """Returns a sentence for each check of a step. Fields that this program does not know are shown as written."""
    fields = {**DEFAULTS, **{name: value for name, value in analysis.items() if value is not None}}
    known = [
        sentence(fields[name])
        for name, sentence in SENTENCES.items()
        if name in fields and _is_shown(name, fields)
    ]
    unknown = [f"{name}: {value}" for name, value in fields.items() if name not in EXPLAINED]
    queries = [_query(query) for query in fields.get("queries", ())]
    return [*known, *queries, *unknown, *_without_data(fields)]


def _query(query: Mapping[str, Any]) -> str:
    """The sentence for a Prometheus query. It names the query only: the expression may be long, and is in the spec."""
    limits = [f"{side} {number(query[name])}" for name, side in SIDES.items() if query.get(name) is not None]
    every = span(query.get("intervalSeconds", 15))
    return f"{query.get('name')} is {' and '.join(limits)}; Prometheus is asked every {every}"


def _is_shown(name: str, fields: Mapping[str, Any]) -> bool:
    """True unless the field has a value that people expect without reading it."""
    return name != "consecutiveFailures" or fields[name] != 1


def _without_data(fields: Mapping[str, Any]) -> list[str]:
    if "onNoData" not in fields or "noDataSeconds" not in fields:
        return []
    action = str(fields["onNoData"])
    return [
        f"without a verdict {span(fields['noDataSeconds'])} after the hold, {NO_DATA.get(action, action)}"
    ]
