"""The step document: what a step says in its termination message, packed and cut to what Kubernetes keeps of it."""

import base64
import json
import zlib
from collections.abc import Callable
from typing import Any

LIMIT = 4096
# What a result may have unpacked: the operator reads no more.
UNPACKED = 64 << 10
MESSAGE_LIMIT = 1500

Json = dict[str, Any]
Cut = Callable[[Json], Json]


def encode(document: Json) -> bytes:
    """The shortest JSON text of a document; refuses NaN and infinity."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def failure(step: str, reason: str, message: str) -> bytes:
    """The document of a step that failed."""
    text = _printable(message)[:MESSAGE_LIMIT]
    while len(encoded := encode({"step": step, "error": {"reason": reason, "message": text}})) > LIMIT:
        text = text[: len(text) * 9 // 10]
    return encoded


def success(step: str, result: Json) -> bytes:
    """The document of a step that is done: plain if it fits, else packed.

    What does not fit packed is cut in the order of `_CUTS`."""
    plain = encode({"step": step, "result": result})
    if len(plain) <= LIMIT:
        return plain
    short = result
    for cut in (_bounded, *_CUTS):
        short = cut(short)
        packed = _packed(step, short)
        if len(packed) <= LIMIT:
            return packed
    raise ValueError(f"the result of {step} does not fit {LIMIT} bytes")


def _packed(step: str, result: Json) -> bytes:
    """The document with its result as base85 of zlib of JSON: no character of base85 is longer in JSON."""
    text = encode(result)
    if len(text) > UNPACKED:
        return text  # Too long in any case.
    return encode({"step": step, "packed": base64.b85encode(zlib.compress(text, 9)).decode()})


def unpacked(document: Json) -> Json:
    """The document with a plain result, whether it was packed or not."""
    if "packed" not in document:
        return document
    result = json.loads(zlib.decompress(base64.b85decode(document["packed"])))
    return {"step": document["step"], "result": result}


def _printable(text: str) -> str:
    """Replace what JSON would have to escape at six bytes a character, and what is no character at all."""
    clean = text.encode(errors="replace").decode()
    return "".join(char if char.isprintable() or char == "\n" else " " for char in clean)


def largest(classes: list[Json], count: int) -> list[Json]:
    """The classes of an evaluation with most rows in the hold-out, in their order."""
    places = sorted(range(len(classes)), key=lambda place: -classes[place]["holdoutRows"])[:count]
    return [classes[place] for place in sorted(places)]


def _notes(count: int, length: int) -> Cut:
    """At most `count` notes, those of the data and those of the evaluation, of at most `length` characters."""

    def cut(result: Json) -> Json:
        short = dict(result)
        if "notes" in short:
            short["notes"] = [note[:length] for note in short["notes"][:count]]
        if "notes" in short.get("evaluation", {}):
            kept = [note[:length] for note in short["evaluation"]["notes"][:count]]
            short["evaluation"] = {**short["evaluation"], "notes": kept}
        return short

    return cut


def _signature(keep: int) -> Cut:
    """A signature with at most `keep` inputs, outputs and classes, without the list of features."""

    def cut(result: Json) -> Json:
        if "signature" not in result:
            return result
        signature = result["signature"]
        short: Json = {"truncated": True}
        for key, counter in (("inputs", "inputCount"), ("outputs", "outputCount"), ("classes", "classCount")):
            if key in signature:
                short[key] = signature[key][:keep]
                short[counter] = signature.get(counter, len(signature[key]))
        if "features" in signature or "featureCount" in signature:
            short["featureCount"] = signature.get("featureCount") or len(signature["features"])
        return {**result, "signature": short}

    return cut


def _without(*tables: str) -> Cut:
    """An evaluation without some of its tables."""

    def cut(result: Json) -> Json:
        evaluation = result.get("evaluation", {})
        if not evaluation.keys() & set(tables):
            return result
        kept = {key: value for key, value in evaluation.items() if key not in tables}
        return {**result, "evaluation": {**kept, "truncated": True}}

    return cut


def _classes(keep: int) -> Cut:
    """The table of classes with those of most rows in the hold-out."""

    def cut(result: Json) -> Json:
        evaluation = result.get("evaluation", {})
        classes = evaluation.get("classes", [])
        if len(classes) <= keep:
            return result
        short = {
            **evaluation,
            "classes": largest(classes, keep),
            "classCount": evaluation.get("classCount", len(classes)),
            "truncated": True,
        }
        return {**result, "evaluation": short}

    return cut


def _bare_metrics(result: Json) -> Json:
    """Metrics without the class that they are about, which the evaluation names."""
    if "metrics" not in result:
        return result
    bare = [
        {key: value for key, value in metric.items() if key != "positiveClass"}
        for metric in result["metrics"]
    ]
    return {**result, "metrics": bare}


def _short_labels(result: Json) -> Json:
    """An evaluation whose class labels have at most 128 characters."""
    if "evaluation" not in result:
        return result
    evaluation = dict(result["evaluation"])
    if "positiveClass" in evaluation:
        evaluation["positiveClass"] = _short(evaluation["positiveClass"])
    if "label" in evaluation.get("baseline", {}):
        evaluation["baseline"] = {"label": _short(evaluation["baseline"]["label"])}
    return {**result, "evaluation": evaluation}


def _short(label: object) -> object:
    return label[:128] if isinstance(label, str) else label


def _evidence(length: int) -> Cut:
    """Evidence of gates without what stands beside its numbers, and shorter messages."""

    def cut(result: Json) -> Json:
        if "gates" not in result:
            return result
        return {**result, "gates": [_with_short_message(found, length) for found in result["gates"]]}

    return cut


def _with_short_message(found: Json, length: int) -> Json:
    if len(found.get("message", "")) <= length:
        return found
    kept = {key: value for key, value in found.items() if key != "message"}
    return {**kept, "message": f"{found['message'][: length - 1]}…"} if length else kept


def _evidence_without(*numbers: str) -> Cut:
    """Evidence of gates without some of what stands beside the value."""

    def cut(result: Json) -> Json:
        if "gates" not in result:
            return result
        kept = [{key: found[key] for key in found if key not in numbers} for found in result["gates"]]
        return {**result, "gates": kept}

    return cut


def _measured(result: Json) -> Json:
    """Metrics without those that a trainer reports itself."""
    if "metrics" not in result:
        return result
    return {**result, "metrics": [each for each in result["metrics"] if each.get("source") != "Reported"]}


def _values(result: Json) -> Json:
    """Metrics without their intervals and baselines."""
    if "metrics" not in result:
        return result
    beside = {"low", "high", "baseline"}
    return {
        **result,
        "metrics": [
            {key: value for key, value in each.items() if key not in beside} for each in result["metrics"]
        ],
    }


def _libraries(keep: int) -> Cut:
    """The first of the libraries, of which a trainer may name any number."""

    def cut(result: Json) -> Json:
        if "libraries" not in result:
            return result
        kept = (
            {name[:64]: text[:64] for name, text in list(result["libraries"].items())[-keep:]} if keep else {}
        )
        return {**result, "libraries": kept}

    return cut


def _first(key: str, keep: int) -> Cut:
    """The first of a list: of gates, those with a value first, for the others are inconclusive in any case."""

    def cut(result: Json) -> Json:
        if key not in result:
            return result
        places = sorted(range(len(result[key])), key=lambda place: "value" not in result[key][place])[:keep]
        return {**result, key: [result[key][place] for place in sorted(places)]}

    return cut


def _profile(result: Json) -> Json:
    """A result without the digest of the profile, which lies beside the model."""
    return {key: value for key, value in result.items() if key != "profile"}


def _importance(keep: int) -> Cut:
    """The features that matter most."""

    def cut(result: Json) -> Json:
        return {**result, "importance": result["importance"][:keep]} if "importance" in result else result

    return cut


def _groups(keep: int) -> Cut:
    """Of each sensitive feature the groups with most rows."""

    def cut(result: Json) -> Json:
        if "fairness" not in result:
            return result
        return {**result, "fairness": [_with_few_groups(table, keep) for table in result["fairness"]]}

    return cut


def _with_few_groups(table: Json, keep: int) -> Json:
    groups = table["groups"]
    if len(groups) <= keep:
        return table
    places = sorted(range(len(groups)), key=lambda place: -groups[place]["rows"])[:keep]
    kept = [groups[place] for place in sorted(places)]
    return {**table, "groups": kept, "groupCount": table.get("groupCount", len(groups))}


# The most that the status of a ModelVersion holds of a signature's lists, of classes and of notes.
_LISTS = {"inputs": 512, "outputs": 64, "classes": 1024, "features": 1024}
_CLASSES, _NOTES, _NOTE = 128, 32, 1024


def _bounded(result: Json) -> Json:
    """A result of which a status holds all: packed, there would be room for more."""
    signature = result.get("signature", {})
    if any(len(signature.get(name, ())) > most for name, most in _LISTS.items()):
        result = _signature(64)(result)
    return _classes(_CLASSES)(_notes(_NOTES, _NOTE)(result))


# What is cut, one after the other, until the rest fits. Metrics with their intervals and baselines, and what gates are
# judged by, come last.
_CUTS: tuple[Cut, ...] = (
    _notes(5, 200),
    _signature(64),
    _without("calibration"),
    _without("residuals", "thresholds"),
    _signature(16),
    _without("confusion"),
    _classes(8),
    _groups(8),
    _importance(10),
    _signature(4),
    _classes(2),
    _notes(3, 120),
    _evidence(200),
    _bare_metrics,
    _signature(1),
    _classes(0),
    _groups(2),
    _importance(3),
    _signature(0),
    _notes(0, 0),
    _short_labels,
    _groups(0),
    _importance(0),
    _without("intervals"),
    _evidence(60),
    _evidence(0),
    _profile,
    _libraries(8),
    _evidence_without("measured", "reference"),
    _libraries(0),
    _first("fairness", 0),
    _measured,
    _values,
    # What is left is of names alone, hardly any of which can be packed. A gate that is left out is inconclusive.
    *(_first("gates", keep) for keep in range(35, -1, -1)),
    *(_first("metrics", keep) for keep in range(29, -1, -1)),
)
