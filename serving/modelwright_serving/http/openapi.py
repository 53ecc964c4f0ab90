"""Describes the HTTP interface of the served model: the contract in openapi.json with its name and its features."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson

from modelwright_serving.oip.signature import NUMPY_TYPES, Signature

PATH = "/v2/openapi.json"
CONTRACT = Path(__file__).with_name("openapi.json")

Schema = dict[str, Any]


def document(name: str, version: str, signature: Signature | None) -> bytes:
    """The contract for one model, as JSON; without its signature, for records of any features."""
    contract: Schema = orjson.loads(CONTRACT.read_bytes())
    paths: dict[str, Schema] = contract["paths"]
    for path in list(paths):
        item = paths.pop(path)
        named = path.replace("{model}", name).replace("{version}", version)
        paths[named] = {key: value for key, value in item.items() if key != "parameters"}
    if signature is not None and signature.features:
        contract["components"]["schemas"]["Record"] = _record(signature)
    return orjson.dumps(contract)


def _record(signature: Signature) -> Schema:
    """A row of the model's."""
    inputs = signature.inputs
    kinds = [spec.datatype for spec in inputs]
    features = dict(
        zip(signature.features, kinds if len(inputs) > 1 else kinds * len(signature.features), strict=True)
    )
    return {
        "type": "object",
        "description": "A value for each feature. One that is not there is missing.",
        "properties": {
            name: _date(signature.formats[name]) if name in signature.formats else _value(kind)
            for name, kind in features.items()
        },
        "required": [
            name for name, kind in features.items() if kind != "BYTES" and not kind.startswith("FP")
        ],
        "additionalProperties": False,
    }


def _date(written: str) -> Schema:
    return {**_value("BYTES"), "description": f"A date, written as {written}."}


def _value(datatype: str) -> Schema:
    if datatype == "BYTES":
        return {"type": ["string", "null"]}
    if datatype == "BOOL":
        return {"type": "boolean"}
    dtype = NUMPY_TYPES[datatype]
    if dtype.kind == "f":
        number: Schema = {"type": ["number", "boolean", "null"]}
        return number if datatype == "FP64" else {**number, **_finite(np.finfo(dtype.name))}
    bounds = np.iinfo(dtype.name)
    return {"type": ["integer", "boolean"], "minimum": int(bounds.min), "maximum": int(bounds.max)}


def _finite(kind: "np.finfo[Any]") -> Schema:
    """What becomes no infinity: up to half a step above the largest value is rounded down."""
    limit = float(kind.max) + 2.0 ** (kind.maxexp - kind.nmant - 2)
    return {"exclusiveMinimum": -limit, "exclusiveMaximum": limit}
