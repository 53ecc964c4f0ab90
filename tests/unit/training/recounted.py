"""Counts the rows of a request as a server has to, from docs/contracts alone: slow and plain."""

import json
import math
from typing import Any

import numpy as np

from modelwright_training.onnxfile.session import DTYPES, Arrays, Model

Json = dict[str, Any]


def as_sent(model: Model, inputs: Arrays) -> dict[str, Any]:
    """The tensors that arrive when the inputs are sent as JSON and read in the types of the model."""
    arrived = {}
    for tensor in model.inputs:
        text = json.dumps(inputs[tensor.name].tolist())
        arrived[tensor.name] = np.array(json.loads(text), dtype=DTYPES[tensor.datatype])
    return arrived


def columns(profile: Json, arrived: Arrays) -> dict[str, list[Any]]:
    """Each feature's values, numbers as float64."""
    found = {}
    for place, feature in enumerate(profile["features"]):
        wide = profile["input"]
        array = arrived[wide][:, place] if wide else arrived[feature["name"]].reshape(-1)
        found[feature["name"]] = (
            array.tolist() if array.dtype == object else array.astype(np.float64).tolist()
        )
    return found


def cell(edges: list[float], value: float) -> int:
    return sum(value > edge for edge in edges)


def counted(feature: Json, values: list[Any]) -> Json:
    """The counts of a feature, in the place of those of the profile."""
    there = [value for value in values if not _missing(value)]
    found = {**feature, "missing": len(values) - len(there)}
    if "values" in feature:
        places = {value: place for place, value in enumerate(feature["values"])}
        counts = [0] * len(places)
        for value in there:
            if value in places:
                counts[places[value]] += 1
        return {**found, "counts": counts, "other": len(there) - sum(counts)}
    if "edges" in feature:
        numbers = [len(value) for value in there] if feature["kind"] == "text" else there
        return {**found, **in_cells(feature, numbers)}
    return found


def in_cells(cells: Json, numbers: list[float]) -> Json:
    counts = [0] * (len(cells["edges"]) + 1)
    for number in numbers:
        counts[cell(cells["edges"], number)] += 1
    low, high = cells["low"], cells["high"]
    beyond = 0 if low is None else sum(number < low or number > high for number in numbers)
    return {"counts": counts, "outside": beyond}


def projected(profile: Json, rows: dict[str, list[Any]]) -> list[list[int]]:
    """The counts of the projections, summed up feature by feature."""
    found = profile["projections"]
    counts = [[0] * (len(edges) + 1) for edges in found["edges"]]
    total = len(next(iter(rows.values())))
    for row in range(total):
        z = [
            _standard(profile, number, place, rows[profile["features"][place]["name"]][row])
            for number, place in enumerate(found["features"])
        ]
        for j, weights in enumerate(found["weights"]):
            summed = math.fsum(weight * one for weight, one in zip(weights, z, strict=True))
            counts[j][cell(found["edges"][j], summed)] += 1
    return counts


def _standard(profile: Json, number: int, place: int, value: Any) -> float:
    found = profile["projections"]
    if _missing(value):
        return 0.0
    if isinstance(value, str):
        values = profile["features"][place]["values"]
        if value not in values:
            return 0.0
        value = found["scores"][str(place)][values.index(value)]
    z: float = (value - found["mean"][number]) / found["scale"][number]
    return min(8.0, max(-8.0, z))


def _missing(value: Any) -> bool:
    return value == "" if isinstance(value, str) else math.isnan(value)
