"""What is checked of a canary, in words: the analysis of the spec, with the defaults that the operator takes. Pure."""

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
# In the order in which people ask.
SENTENCES: Mapping[str, Callable[[Any], str]] = {
    "maxErrorRate": lambda v: f"at most {percent(v)} of its requests fail",
    "maxP99Increase": lambda v: f"its 99th percentile is at most {percent(v)} above the stable one's",
    "maxP50Increase": lambda v: f"its median is at most {percent(v)} above the stable one's",
    "minAgreement": lambda v: f"at least {percent(v)} of the labels in mirrored answers are the stable one's",
    "maxDifference": lambda v: f"99 of 100 numbers in mirrored answers are at most {number(v)} apart",
    "maxRestarts": lambda v: f"its containers end at most {v} times" if v else "none of its containers ends",
    "minSamples": lambda v: f"a step takes {v} requests or more to pass",
    "minFailures": lambda v: f"and {v} failed ones or more to fail",
    "consecutiveFailures": lambda v: f"it is rolled back when {v} looks in a row fail",
}
TOLD = frozenset((*SENTENCES, "queries", "noDataSeconds", "onNoData"))


def checks(analysis: Mapping[str, Any]) -> list[str]:
    """A sentence for each thing that has to hold at each step; what this program does not know, as it is written."""
    asked = {**DEFAULTS, **{name: value for name, value in analysis.items() if value is not None}}
    known = [tell(asked[name]) for name, tell in SENTENCES.items() if name in asked and _is_said(name, asked)]
    unknown = [f"{name}: {value}" for name, value in asked.items() if name not in TOLD]
    queries = [_query(query) for query in asked.get("queries", ())]
    return [*known, *queries, *unknown, *_without_data(asked)]


def _query(query: Mapping[str, Any]) -> str:
    """What Prometheus is asked; the query itself may be long, and stands in the spec."""
    limits = [f"{side} {number(query[name])}" for name, side in SIDES.items() if query.get(name) is not None]
    every = span(query.get("intervalSeconds", 15))
    return f"{query.get('name')} is {' and '.join(limits)}; Prometheus is asked every {every}"


def _is_said(name: str, asked: Mapping[str, Any]) -> bool:
    """One failing look is what everybody expects."""
    return name != "consecutiveFailures" or asked[name] != 1


def _without_data(asked: Mapping[str, Any]) -> list[str]:
    if "onNoData" not in asked or "noDataSeconds" not in asked:
        return []
    action = str(asked["onNoData"])
    return [f"without a verdict {span(asked['noDataSeconds'])} after the hold, {NO_DATA.get(action, action)}"]
