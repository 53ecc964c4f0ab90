"""The sections of a card: what is known of a ModelVersion, in the order in which a reader asks. Pure.

All of it is in the object. So the same object gives the same card, also when the files or the cluster are gone.
`card.md` in the store is another one: publish writes it before there are verdicts, approvals and aliases.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from modelwright.api.base import Tensor
from modelwright.api.modelversion import Baseline, Evaluation, Fairness, Intervals, Metric
from modelwright.view.card.blocks import Bar, Bars, Block, Curves, Items, Line, Matrix, Section, Table, Text
from modelwright.view.card.limits import limits
from modelwright.view.cause import phrase
from modelwright.view.format import number, percent
from modelwright.view.version import (
    JudgedGate,
    Version,
    approval_phrase,
    interval,
    mapping,
    passed,
    shape_of,
    source_text,
)

NONE = "-"
# A text of parameters or of a rule. The object has all of it.
LONG = 2000
MOST_CLASSES, MOST_CONFUSED, MOST_FEATURES, MOST_RULES = 30, 24, 100, 100


def sections(version: Version) -> list[Section]:
    """Returns the sections that have something to say."""
    found = (
        Section("State", _state(version)),
        Section("Gates", _gates(version)),
        Section("Approvals", _approvals(version)),
        Section("Metrics", _metrics(version)),
        Section("Fairness", _fairness(version.status.fairness)),
        Section("Feature importance", _importance(version)),
        Section("Classes", _classes(version.status.evaluation)),
        Section("Thresholds", _thresholds(version.status.evaluation)),
        Section("Calibration", _calibration(version.status.evaluation)),
        Section("Residuals", _residuals(version.status.evaluation)),
        Section("Parity", _parity(version)),
        Section("Signature", _signature(version)),
        Section("Data", _data(version)),
        Section("Training", _training(version)),
        Section("Known limits", [Items(limits(version))]),
        Section("Where the rest is", _rest(version)),
    )
    return [section for section in found if section.blocks]


def title(version: Version) -> str:
    """Returns the heading of the card."""
    return f"{version.name}, a version of {version.spec.model}"


def _state(version: Version) -> list[Block]:
    lineage, artifact = version.lineage, version.spec.artifact
    made = f"run {lineage.run} of TrainingJob {lineage.training_job}" if lineage.training_job else "hand"
    known = {
        "namespace": version.namespace,
        "task": version.status.task,
        "made by": made,
        "made at": version.made,
        "started by": phrase(lineage.cause) if lineage.cause else None,
        "author of the recipe": lineage.author,
        "made from": lineage.parent,
        "aliases": ", ".join(version.status.aliases) or "none",
        "file": f"{artifact.uri}{f', {artifact.size} bytes' if artifact.size else ''}",
        "digest of the file": artifact.digest,
        "signature of the file": _signed(version),
    }
    conditions = [
        (each.type, each.status, each.reason, each.message or NONE) for each in version.status.conditions
    ]
    blocks: list[Block] = [Items(_named(known))]
    if conditions:
        blocks.append(Table(("condition", "status", "reason", "message"), conditions))
    return blocks


def _signed(version: Version) -> str | None:
    """Whose signature the file has to have."""
    verification = version.spec.verification
    if verification is None:
        return None
    key = verification.key_secret_ref
    return f"has to be that of the key {key.key} in Secret {key.name}"


def _named(known: Mapping[str, object]) -> list[str]:
    return [f"{name}: {value}" for name, value in known.items() if value is not None and value != ""]


def _gates(version: Version) -> list[Block]:
    gates, champion = version.gates(), version.lineage.champion
    if not gates:
        return []
    lines = [f"{passed(gates)} of {len(gates)} gates have passed."]
    if champion is not None:
        lines.append(f"The Champion when the run began was {champion.name} ({champion.digest}).")
    lines.append(f"A gate that cannot be decided: {version.spec.on_inconclusive or 'Hold'}.")
    head = (
        "gate",
        "demand",
        "verdict",
        "value",
        "95 % interval",
        "limit",
        "own value",
        "compared with",
        "rows",
        "why",
    )
    return [Text(" ".join(lines)), Table(head, [_gate(gate) for gate in gates])]


def _gate(gate: JudgedGate) -> tuple[str, ...]:
    found = gate.found
    demand = shape_of(gate.demand, found.metric if found else None) or NONE
    if found is None:
        return (gate.name, demand, gate.verdict, *[NONE] * 6, "it was not judged")
    reference = found.against or ""
    if found.reference is not None:
        reference = f"{reference} {number(found.reference)}".strip()
    count = NONE if found.samples is None else f"{found.samples:,}"
    if found.samples_needed is not None and found.verdict == "Inconclusive":
        count += f", about {found.samples_needed:,} would decide"
    reported = " (reported by the trainer)" if found.source == "Reported" else ""
    why = f"{found.reason}: {found.message}" if found.message else found.reason
    return (
        gate.name,
        demand,
        found.verdict,
        _number(found.value) + reported,
        interval(found.low, found.high) or NONE,
        _number(found.threshold),
        _number(found.measured),
        reference or NONE,
        count,
        why,
    )


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.6g}"


def _approvals(version: Version) -> list[Block]:
    policy, found = version.spec.approval, version.status.approvals
    blocks: list[Block] = []
    if policy is not None:
        author = ", not by the author of the recipe" if policy.exclude_author else ""
        people = "1 person" if policy.required == 1 else f"{policy.required} people"
        blocks.append(Text(f"It has to be approved by {people}{author}."))
    if found:
        blocks.append(Items([approval_phrase(each) for each in found]))
    seen = {(each.by, each.decision) for each in found}
    waiting = [each for each in version.spec.approvals or () if (each.by, each.decision) not in seen]
    if waiting:
        words = [f"{each.decision} by {each.by}: not seen by the operator yet" for each in waiting]
        blocks.append(Items(words))
    return blocks


def _metrics(version: Version) -> list[Block]:
    metrics, evaluation = version.status.metrics, version.status.evaluation
    if not metrics:
        return []
    head = ("metric", "value", "95 % interval", "baseline", "source")
    blocks: list[Block] = [Table(head, [_metric(metric) for metric in metrics])]
    if evaluation is not None:
        rows = "training rows" if evaluation.train_rows else "rows that it was scored on"
        words = [_baseline(evaluation.baseline, rows), _intervals(evaluation.intervals)]
        blocks.append(Text(" ".join(word for word in words if word)))
    return blocks


def _metric(metric: Metric) -> tuple[str, ...]:
    about = f" of {metric.positive_class}" if metric.positive_class is not None else ""
    source = "measured on the hold-out" if metric.source == "Measured" else "reported, not measured"
    return (
        f"{metric.name}{about}",
        _number(metric.value),
        interval(metric.low, metric.high) or NONE,
        _number(metric.baseline),
        source,
    )


def _baseline(baseline: Baseline, rows: str) -> str:
    """What it always answers. `rows`: what it has learnt that from."""
    if baseline.label is not None:
        return f"The baseline always answers {baseline.label}, the class with most {rows}."
    if baseline.mean is None:
        return ""
    median = "" if baseline.median is None else f", or their median, {number(baseline.median)}"
    return f"The baseline always answers the mean of the {rows}, {number(baseline.mean)}{median}."


def _intervals(found: Intervals | None) -> str:
    if found is None or not found.resamples:
        return "There are no intervals."
    units = "rows" if found.unit == "Row" else f"{found.groups} groups of {found.column}"
    return f"The intervals are from {found.resamples} bootstrap resamples of its {units}."


def _fairness(found: Sequence[Fairness]) -> list[Block]:
    blocks: list[Block] = []
    for table in found:
        count = len(table.groups)
        more = f", those with most rows of {table.group_count}" if (table.group_count or 0) > count else ""
        blocks.append(Text(f"Groups of {table.feature}{more}."))
        rows = [
            (
                each.group,
                str(each.rows),
                *(
                    _number(value)
                    for value in (
                        each.selection_rate,
                        each.accuracy,
                        each.true_positive_rate,
                        each.false_positive_rate,
                        each.mae,
                    )
                ),
            )
            for each in table.groups
        ]
        names = ("selection rate", "accuracy", "true positive rate", "false positive rate", "mae")
        blocks.append(_without_empty(("group", "rows", *names), rows))
    return blocks


def _without_empty(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table without the columns that have no value in any row."""
    kept = [place for place in range(len(head)) if any(row[place] != NONE for row in rows)]
    return Table([head[place] for place in kept], [[row[place] for place in kept] for row in rows])


def _importance(version: Version) -> list[Block]:
    found = version.status.importance
    if not found:
        return []
    rows = [(each.feature, _number(each.value), interval(each.low, each.high) or NONE) for each in found]
    caption = "How much worse the main metric is on the hold-out when the values of a feature are shuffled."
    bars = [Bar(each.feature, each.value, each.low, each.high) for each in found]
    return [Text(caption), Table(("feature", "worse by", "95 % interval"), rows), Bars("importance", bars)]


def _classes(evaluation: Evaluation | None) -> list[Block]:
    if evaluation is None or not evaluation.classes:
        return []
    rows = [
        (
            each.label,
            str(each.train_rows),
            str(each.holdout_rows),
            *(_number(value) for value in (each.precision, each.recall, each.f1)),
        )
        for each in evaluation.classes[:MOST_CLASSES]
    ]
    blocks: list[Block] = [
        Table(("class", "training rows", "hold-out rows", "precision", "recall", "f1"), rows)
    ]
    count = evaluation.class_count or len(evaluation.classes)
    if count > len(rows):
        blocks.append(Text(f"{count - len(rows)} more classes are in report.json."))
    return [*blocks, *_confusion(evaluation)]


def _confusion(evaluation: Evaluation) -> list[Block]:
    found = evaluation.confusion
    if (
        found is None
        or not 0 < len(found.classes) <= MOST_CONFUSED
        or not _is_square(found.counts, found.classes)
    ):
        return []
    rows = [(label, *map(str, counts)) for label, counts in zip(found.classes, found.counts, strict=True)]
    return [
        Text("How often each class was answered for each true class."),
        Table(("true class, answered:", *found.classes), rows),
        Matrix("confusion matrix", found.classes, found.counts),
    ]


def _is_square(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> bool:
    return len(counts) == len(classes) and all(len(row) == len(classes) for row in counts)


def _thresholds(evaluation: Evaluation | None) -> list[Block]:
    if evaluation is None or not evaluation.thresholds:
        return []
    found = evaluation.thresholds
    rows = [
        (number(each.threshold), _number(each.precision), _number(each.recall), _number(each.share))
        for each in found
    ]
    curves = {
        "precision": [(each.threshold, each.precision) for each in found if each.precision is not None],
        "recall": [(each.threshold, each.recall) for each in found if each.recall is not None],
        "share answered positive": [(each.threshold, each.share) for each in found],
    }
    lines = [Line(points, name) for name, points in curves.items() if points]
    return [
        Text(f"What answering {evaluation.positive_class} from a probability on would do."),
        Table(("from", "precision", "recall", "share answered positive"), rows),
        Curves("thresholds", f"probability of {evaluation.positive_class}", "share", lines),
    ]


def _calibration(evaluation: Evaluation | None) -> list[Block]:
    if evaluation is None or not evaluation.calibration:
        return []
    bins = evaluation.calibration
    rows = [(_number(each.predicted), _number(each.observed), str(each.rows)) for each in bins]
    points = [(each.predicted, each.observed) for each in bins]
    return [
        Text("Probabilities against what came true. On the diagonal they are right."),
        Table(("mean probability", "how often it was true", "rows"), rows),
        Curves("calibration", "mean probability", "how often it was true", [Line(points)], diagonal=True),
    ]


def _residuals(evaluation: Evaluation | None) -> list[Block]:
    if evaluation is None or not evaluation.residuals:
        return []
    rows = [(percent(each.quantile), _number(each.value)) for each in evaluation.residuals]
    return [Text("The true value less the predicted one."), Table(("quantile", "residual"), rows)]


def _parity(version: Version) -> list[Block]:
    found = version.status.parity
    if found is None:
        return []
    if found.verdict == "Skipped":
        return [
            Text("The model was not compared with the trainer's library: the trainer left no predictions.")
        ]
    known = {
        "verdict": f"{found.verdict}: ONNX Runtime against the trainer's library",
        "rows compared": found.compared,
        "rows with another label": found.label_mismatches,
        "ties": found.ties,
        "largest difference": None if found.max_difference is None else _number(found.max_difference),
    }
    return [Items(_named(known))]


def _signature(version: Version) -> list[Block]:
    found = version.status.signature
    if found is None:
        return []
    rows = [
        *(_tensor("input", tensor) for tensor in found.inputs[:MOST_FEATURES]),
        *(_tensor("output", tensor) for tensor in found.outputs[:MOST_FEATURES]),
    ]
    blocks: list[Block] = [Table(("", "name", "datatype", "shape", "format"), rows)]
    left = max(found.input_count or 0, len(found.inputs)) - min(len(found.inputs), MOST_FEATURES)
    if left > 0:
        blocks.append(Text(f"{left} more inputs are in report.json."))
    for what, names, count in (
        ("Features of the input", found.features, found.feature_count),
        ("Classes", found.classes, found.class_count),
    ):
        if names or count:
            blocks.append(Text(f"{what}: {_listed(names or (), count)}."))
    return blocks


def _listed(names: Sequence[str], count: int | None) -> str:
    shown = names[:MOST_FEATURES]
    left = max(count or 0, len(names)) - len(shown)
    more = f"{left} {'more' if shown else 'that report.json lists'}" if left > 0 else ""
    return ", ".join(part for part in (*shown, more) if part)


def _tensor(what: str, tensor: Tensor) -> tuple[str, ...]:
    shape = " x ".join("any" if size == -1 else str(size) for size in tensor.shape)
    return what, tensor.name, tensor.datatype, shape or "one value", tensor.format or NONE


def _data(version: Version) -> list[Block]:
    data = mapping(version.recipe.get("data"))
    holdout = mapping(data.get("holdout"))
    lines = [
        f"source: {source_text(source)}{f', {source.digest}' if source.digest else ', without a digest'}"
        for source in version.lineage.data or ()
    ]
    rows = version.rows
    if rows is not None:
        learnt = f"{rows[0]} to learn from, " if rows[0] else ""
        lines.append(f"rows: {learnt}{rows[1]} held out")
    known = {
        "target": data.get("target"),
        "positive class": data.get("positiveClass"),
        "columns to learn from": _text(data.get("features")),
        "columns left out": _text(data.get("exclude")),
        "weight": data.get("weight"),
        "sample": _text(data.get("sample")),
        "leak check": _text(data.get("leakCheck")),
        "held out": _text(dict(holdout)) if holdout else None,
    }
    evaluate = version.spec.evaluate
    if evaluate is not None:
        lines.append(
            f"scored on: {_text(evaluate.model_dump(mode='json', by_alias=True, exclude_none=True))}"
        )
    blocks: list[Block] = [Items([*lines, *_named(known)])] if lines or any(known.values()) else []
    rules = mapping(data.get("schema"))
    if rules:
        shown = [(str(name), _text(rule) or NONE) for name, rule in list(rules.items())[:MOST_RULES]]
        blocks.append(Table(("column", "rule"), shown))
        if len(rules) > len(shown):
            blocks.append(Text(f"{len(rules) - len(shown)} more rules are in spec.lineage.recipe."))
    return blocks


def _text(value: object) -> str | None:
    """A value of a recipe as JSON, cut where it is long."""
    if value is None:
        return None
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= LONG else f"{text[:LONG]}..."


def _training(version: Version) -> list[Block]:
    lineage = version.lineage
    trainer = mapping(version.recipe.get("trainer"))
    known = {
        "estimator": lineage.estimator,
        "parameters": _text(dict(lineage.parameters)) if lineage.parameters else None,
        "early stopping": _text(mapping(trainer.get("sklearn")).get("earlyStopping")),
        "preprocessing": _text(trainer.get("preprocess")),
        "seed of the training": lineage.seed,
        "seed of the split": mapping(mapping(version.recipe.get("data")).get("holdout")).get("seed"),
        "code": f"{lineage.code.repository} at {lineage.code.revision}" if lineage.code else None,
        "command": _text(trainer.get("command")),
        "arguments": _text(trainer.get("args")),
        "environment": _text(trainer.get("env")),
        "libraries": ", ".join(_versions(lineage.libraries or {})),
    }
    lines = _named(known)
    blocks: list[Block] = [Items(lines)] if lines else []
    if lineage.images:
        rows = [(each.step, each.image, each.image_id or "unknown") for each in lineage.images]
        blocks.append(Table(("step", "image", "digest, as the kubelet ran it"), rows))
    return blocks


def _versions(libraries: Mapping[str, str]) -> Iterable[str]:
    return (f"{name} {libraries[name]}" for name in sorted(libraries))


def _rest(version: Version) -> list[Block]:
    uri = version.spec.artifact.uri
    folder = uri if uri.startswith("oci://") else uri.rpartition("/")[0]
    if version.lineage.training_job is None:
        return [Text(f"The file lies in {folder}.")]
    return [
        Text(
            f"report.json in {folder} has what has no place here: the ROC curve, residuals by predicted value, all "
            "classes and features. card.md beside it is from publish, before verdicts, approvals and aliases."
        )
    ]
