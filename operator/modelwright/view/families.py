"""Describes families of ModelVersions: a line for each version, and versions side by side. Pure.

An interval of one version says where its value lies, not by how much two versions differ. So a comparison only says
which intervals overlap, and shows the gates that compared two versions on the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any

from modelwright.api.modelversion import Metric
from modelwright.view.format import number, plain, since, span, table
from modelwright.view.version import JudgedGate, Version, interval, mapping, measured, passed

NONE = "-"
# The most characters of a cell, so that a line stays readable: names of columns and parameters are not ours.
CELL = 48
# The most rows of a table of differences.
MOST_DIFFERENCES = 40
DATA_FIELDS = (
    "target", "features", "exclude", "weight", "positiveClass", "sample", "schema", "leakCheck", "dvc", "source",
)  # fmt: skip
OTHER_ROWS = "They were scored on other data, or on other rows of it."
MAYBE_OTHER_ROWS = "Whether they were scored on the same rows is not known: no digest says so."
HEAD = ("NAME", "READY", "REASON", "ALIASES", "SCORE", "GATES", "ROWS", "AGE", "DIGEST")


Reader = Callable[[Version], Mapping[str, object]]


def short(value: object, most: int = CELL) -> str:
    """Returns a value on one line, cut to so many characters."""
    text = plain(str(value))
    return text if len(text) <= most else f"{text[: most - 3]}..."


def lines(families: Mapping[str, Sequence[Version]], now: datetime) -> list[str]:
    """Returns a table for each family. The versions are in the order in which they are shown."""
    drawn: list[str] = []
    for family, versions in families.items():
        count = "1 version" if len(versions) == 1 else f"{len(versions)} versions, the newest first"
        rows = [HEAD, *(_row(version, now) for version in versions)]
        drawn += [f"{family}: {count}", *(f"  {line}" for line in table(rows)), ""]
    return drawn[:-1]


def _row(version: Version, now: datetime) -> tuple[str, ...]:
    ready = version.ready
    seconds = since(version.made, now)
    return (
        version.name,
        ready.status if ready else "Unknown",
        ready.reason if ready else "NotSeen",
        short(", ".join(version.status.aliases) or NONE),
        short(score(version)),
        short(gate_summary(version)),
        rows(version),
        NONE if seconds is None else " ".join(span(seconds).split(" ")[:2]),
        version.digest,
    )


def score(version: Version) -> str:
    """Returns the main metric with its interval."""
    metric = version.main_metric
    if metric is None:
        return short(version.status.score or NONE)
    reported = " (reported)" if metric.source == "Reported" else ""
    return f"{metric.name} {measured(metric.value, metric.low, metric.high)}{reported}"


def gate_summary(version: Version) -> str:
    """Returns how many gates have passed, and the first that has not."""
    gates = version.gates()
    if not gates:
        return NONE
    open_ = [gate for gate in gates if gate.verdict != "Pass"]
    first = next((gate for gate in open_ if gate.verdict == "Fail"), open_[0] if open_ else None)
    if first is None:
        return f"{len(gates)} of {len(gates)}"
    word = "failed" if first.verdict == "Fail" else "undecided"
    more = f" +{len(open_) - 1}" if len(open_) > 1 else ""
    return f"{passed(gates)} of {len(gates)}; {word}: {first.name}{more}"


def rows(version: Version) -> str:
    """Returns how many rows it has learnt from, and how many it was scored on."""
    found = version.rows
    return NONE if found is None else f"{found[0] or '?'}+{found[1]}"


def document(version: Version) -> dict[str, Any]:
    """Returns what a line of the list says, for programs. Fields without a value are left out."""
    ready, gates, found = version.ready, version.gates(), version.rows
    fields = {
        "name": version.name,
        "namespace": version.namespace,
        "model": version.spec.model,
        "ready": ready.status if ready else None,
        "reason": ready.reason if ready else None,
        "message": ready.message if ready else None,
        "aliases": list(version.status.aliases),
        "score": version.status.score,
        "metrics": [_dumped(metric) for metric in version.status.metrics],
        "gates": [
            {"name": gate.name, "verdict": gate.verdict, **(_dumped(gate.found) if gate.found else {})}
            for gate in gates
        ],
        "gatesPassed": passed(gates),
        "gatesInAll": len(gates),
        "trainRows": found[0] if found else None,
        "holdoutRows": found[1] if found else None,
        "data": [_dumped(source) for source in version.lineage.data or ()],
        "madeAt": version.made,
        "digest": version.spec.artifact.digest,
        "cause": None if version.lineage.cause is None else _dumped(version.lineage.cause),
        "estimator": version.lineage.estimator,
        "seed": version.lineage.seed,
        "approvals": [_dumped(each) for each in version.status.approvals],
        "unread": list(version.unread) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _dumped(part: Any) -> dict[str, Any]:  # noqa: ANN401 - any part of a resource
    dumped: dict[str, Any] = part.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


def comparison(versions: Sequence[Version]) -> list[str]:
    """Returns versions side by side: metrics, gates, and in what they differ."""
    sections = (
        _heads(versions),
        _metrics(versions),
        _paired_lines(versions),
        _gates(versions),
        _data(versions),
        _differences("What they were trained with, where it differs", versions, parts_of),
        _differences("Libraries, where they differ", versions, _libraries),
    )
    found = [list(section) for section in sections]
    return [line for lines in found if lines for line in (*lines, "")][:-1]


def compared(versions: Sequence[Version]) -> dict[str, Any]:
    """Returns the comparison for programs."""
    return {
        "versions": [document(version) for version in versions],
        "intervals": {
            name: {
                f"{one.name}, {other.name}": "overlap" if meet else "apart"
                for one, other, meet in _pairs(name, versions)
            }
            for name in _metric_names(versions)
        },
        "paired": [
            {"version": version.name, **_dumped(gate.found)}
            for version, gate in paired(versions)
            if gate.found
        ],
        "sameRows": same_rows(versions),
        "differences": {
            "training": _differing(versions, parts_of),
            "libraries": _differing(versions, _libraries),
        },
    }


def _heads(versions: Sequence[Version]) -> Iterator[str]:
    def line(title: str, cells: Iterable[str]) -> tuple[str, ...]:
        return (title, *(short(cell) for cell in cells))

    yield from table(
        [
            line("", (version.name for version in versions)),
            line("Ready", (f"{r.status} {r.reason}" if (r := v.ready) else "Unknown" for v in versions)),
            line("Aliases", (", ".join(version.status.aliases) or NONE for version in versions)),
            line("Made at", (version.made or NONE for version in versions)),
            line("Model digest", (version.digest for version in versions)),
        ]
    )


def _metrics(versions: Sequence[Version]) -> Iterator[str]:
    names = _metric_names(versions)
    if not names:
        return
    yield "Metrics, each with its 95 % interval"
    found = [{metric.name: metric for metric in version.status.metrics} for version in versions]
    drawn = [
        (short(name), *(_metric(values.get(name)) for values in found), _overlap(name, versions))
        for name in names
    ]
    yield from (f"  {line}" for line in table([("", *(v.name for v in versions), "intervals"), *drawn]))
    yield "  Intervals that overlap show no difference, and those apart are a hint only if the rows are the same."
    if (same := same_rows(versions)) is not True:
        yield f"  {OTHER_ROWS if same is False else MAYBE_OTHER_ROWS}"


def same_rows(versions: Sequence[Version]) -> bool | None:
    """Returns whether the versions were scored on the same rows; None if that cannot be known."""
    words = {version.scored_on[0] for version in versions}
    if len(words) > 1:
        return False
    return True if all(version.scored_on[1] for version in versions) else None


def _metric_names(versions: Sequence[Version]) -> list[str]:
    return list(dict.fromkeys(metric.name for version in versions for metric in version.status.metrics))


def _metric(metric: Metric | None) -> str:
    if metric is None:
        return NONE
    text = measured(metric.value, metric.low, metric.high)
    return f"{text} (reported)" if metric.source == "Reported" else text


def _pairs(name: str, versions: Sequence[Version]) -> Iterator[tuple[Version, Version, bool]]:
    """The pairs of versions that have an interval of a metric, and whether the two overlap."""
    ends = [
        (version, metric.low, metric.high)
        for version in versions
        for metric in version.status.metrics
        if metric.name == name and metric.low is not None and metric.high is not None
    ]
    for (one, low, high), (other, lower, higher) in combinations(ends, 2):
        yield one, other, low <= higher and lower <= high


def _overlap(name: str, versions: Sequence[Version]) -> str:
    pairs = list(_pairs(name, versions))
    if not pairs:
        return NONE
    apart = [f"{one.name} and {other.name}" for one, other, meet in pairs if not meet]
    if not apart:
        return "overlap"
    return "apart" if len(versions) == 2 else f"apart: {', '.join(apart)}"


def paired(versions: Sequence[Version]) -> Iterator[tuple[Version, JudgedGate]]:
    """Yields the gates of a version that compared it with another one of these, on the same rows."""
    names = {version.name for version in versions}
    for version in versions:
        for gate in version.gates():
            if gate.found is not None and gate.found.against in names and gate.found.value is not None:
                yield version, gate


def _paired_lines(versions: Sequence[Version]) -> Iterator[str]:
    found = list(paired(versions))
    if not found:
        yield "Compared on the same rows: none of these was, as no gate of one had another as its Champion."
        return
    yield "Compared on the same rows"
    names: dict[str, list[str]] = {}
    for version, gate in found:
        names.setdefault(_difference(version, gate), []).append(f"{gate.verdict} of {gate.name}")
    yield from (f"  {line}: {', '.join(verdicts)}" for line, verdicts in names.items())


def _difference(version: Version, gate: JudgedGate) -> str:
    """What a gate measured between two versions."""
    judged = gate.found
    if judged is None or judged.value is None:
        return version.name
    ends = interval(judged.low, judged.high)
    count = f", {judged.samples:,} rows" if judged.samples is not None else ""
    pair = f"{version.name} against {short(judged.against)}"
    return f"{pair}: {short(judged.metric)} {judged.value:+.4g}{f' ({ends})' if ends else ''}{count}"


def _gates(versions: Sequence[Version]) -> Iterator[str]:
    found = [{gate.name: gate for gate in version.gates()} for version in versions]
    names = dict.fromkeys(name for gates in found for name in gates)
    if not names:
        return
    yield "Gates"
    drawn = [(name, *(_gate(gates.get(name)) for gates in found)) for name in names]
    yield from (f"  {line}" for line in table([("", *(v.name for v in versions)), *drawn]))


def _gate(gate: JudgedGate | None) -> str:
    if gate is None:
        return NONE
    found = gate.found
    if found is None:
        return "not judged"
    if found.value is None:
        return f"{found.verdict}, {found.reason}"
    limit = "" if found.threshold is None else f", limit {number(found.threshold)}"
    return f"{found.verdict} {measured(found.value, found.low, found.high)}{limit}"


def _data(versions: Sequence[Version]) -> Iterator[str]:
    yield "Data"
    digests = ((v.data_digest or NONE).removeprefix("sha256:")[:12] for v in versions)
    uris = (_source(version) for version in versions)
    drawn = [
        ("", *(version.name for version in versions)),
        ("digest", *digests),
        ("source", *(short(uri) for uri in uris)),
        ("rows (train+hold-out)", *(rows(version) for version in versions)),
    ]
    yield from (f"  {line}" for line in table(drawn))


def _source(version: Version) -> str:
    """Where the data comes from; of a version that no run has made, that which it was scored on."""
    evaluate = version.spec.evaluate
    reference = evaluate.config_map_ref if evaluate is not None else None
    uri = f"configmap://{reference.name}/{reference.key}" if reference else evaluate and evaluate.uri
    return next((source.uri for source in version.lineage.data or ()), uri or NONE)


def parts_of(version: Version) -> dict[str, object]:
    """Returns what a version was trained with, flat: the estimator, its parameters, seeds, code and images."""
    lineage, recipe = version.lineage, version.recipe
    trainer, data = mapping(recipe.get("trainer")), mapping(recipe.get("data"))
    parts: dict[str, object] = {
        "estimator": lineage.estimator,
        **{f"parameter {name}": value for name, value in (lineage.parameters or {}).items()},
        "seed": lineage.seed,
        "code": f"{lineage.code.repository} at {lineage.code.revision}" if lineage.code else None,
        **{name: trainer.get(name) for name in ("preprocess", "command", "args", "env")},
        **{f"data.{name}": data.get(name) for name in DATA_FIELDS},
        **{f"data.holdout.{name}": value for name, value in mapping(data.get("holdout")).items()},
        **{f"image of {each.step}": each.image_id or each.image for each in lineage.images or ()},
    }
    return {name: value for name, value in parts.items() if value is not None}


def _libraries(version: Version) -> dict[str, object]:
    return dict(version.lineage.libraries or {})


def _differing(versions: Sequence[Version], read: Reader) -> dict[str, list[object]]:
    """The values of each name that is not the same in all versions."""
    found = [read(version) for version in versions]
    names = dict.fromkeys(name for parts in found for name in parts)
    values = {name: [parts.get(name) for parts in found] for name in names}
    return {name: each for name, each in values.items() if any(value != each[0] for value in each)}


def _differences(title: str, versions: Sequence[Version], read: Reader) -> Iterator[str]:
    differing = _differing(versions, read)
    if not differing:
        yield f"{title}: nowhere"
        return
    yield title
    shown = list(differing.items())[:MOST_DIFFERENCES]
    drawn = [
        (short(name), *(NONE if value is None else short(value) for value in values))
        for name, values in shown
    ]
    yield from (f"  {line}" for line in table([("", *(v.name for v in versions)), *drawn]))
    if len(differing) > len(shown):
        yield f"  and {len(differing) - len(shown)} more: -o yaml has all"
