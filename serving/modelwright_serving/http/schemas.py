"""The JSON Schemas of all documents that the server takes and gives. The paths they belong to are left to `openapi`."""

from typing import Any

import numpy as np

from modelwright_serving.oip.documents import EXTENSIONS, PLATFORM
from modelwright_serving.oip.request import MAX_DIMENSION
from modelwright_serving.oip.signature import NUMPY_TYPES, Signature

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_PARAMETERS: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}


def components(signature: Signature | None) -> Schema:
    """All schemas by name; those of records name the features of a known model."""
    return {
        "Error": _closed({"error": _TEXT}, "What was wrong, where, and what to do."),
        **_server(),
        **_model(),
        **_repository(),
        **_statistics(),
        **_request(signature),
        **_response(),
    }


def reference(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _closed(properties: Schema, description: str, optional: tuple[str, ...] = ()) -> Schema:
    """An object with these properties and no others, as all are that the server writes."""
    return {**_open(properties, description, optional), "additionalProperties": False}


def _open(properties: Schema, description: str, optional: tuple[str, ...] = ()) -> Schema:
    """An object that may hold more, which is ignored, as all are that the server reads."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _server() -> dict[str, Schema]:
    ready: Schema = {"type": "boolean"}
    return {
        "Server": _closed(
            {"name": _TEXT, "version": _TEXT, "extensions": _list({"enum": EXTENSIONS})},
            "Server metadata.",
        ),
        "Models": _closed({"models": _list(_TEXT, minItems=1, maxItems=1)}, "The names of all models: one."),
        "Live": _closed({"live": {"const": True}}, "The process works."),
        "Ready": _closed({"ready": {"const": True}}, "Inference requests are welcome."),
        "ModelReady": _closed({"name": _TEXT, "ready": {"const": True}}, "The model takes requests."),
        "NotReady": _closed(
            {"ready": {**ready, "const": False}, "reason": _TEXT, "error": _TEXT},
            "Requests should go elsewhere: the reason as one word for programs, and as a sentence.",
        ),
    }


def _model() -> dict[str, Schema]:
    datatype = {"enum": list(NUMPY_TYPES)}
    shape = _list({"type": "integer", "minimum": -1}, description="-1 is a dimension of any size.")
    tensor = _closed({"name": _TEXT, "datatype": datatype, "shape": shape}, "One input or output.")
    kind = {"enum": [f"TYPE_{'STRING' if name == 'BYTES' else name}" for name in NUMPY_TYPES]}
    never = {"const": False}
    configured = {"name": _TEXT, "data_type": kind, "dims": shape, "is_shape_tensor": never}
    options = {"format": {"const": "FORMAT_NONE"}, "allow_ragged_batch": never, "optional": never}
    given = _closed({**configured, **options}, "One input.")
    taken = _closed({**configured, "label_filename": {"const": ""}}, "One output.")
    return {
        "Datatype": datatype,
        "Model": _closed(
            {
                "name": _TEXT,
                "versions": _list(_TEXT, minItems=1, maxItems=1),
                "platform": {"const": PLATFORM},
                "inputs": _list(tensor, minItems=1),
                "outputs": _list(tensor, minItems=1),
                "parameters": _closed(
                    {"digest": _TEXT, "classes": _TEXT, "features": _TEXT, "task": _TEXT},
                    "The digest of the model's file; the classes in the order of the probabilities and the "
                    "features in the order of the columns, each as the text of a JSON list; the task.",
                    optional=("classes", "features", "task"),
                ),
            },
            "Model metadata.",
        ),
        "Configuration": _open(
            {
                **dict.fromkeys(("name", "platform", "backend"), _TEXT),
                "max_batch_size": _COUNT,
                "input": _list(given, minItems=1),
                "output": _list(taken, minItems=1),
            },
            "The model in the terms of Triton's ModelConfig.",
        ),
    }


def _repository() -> dict[str, Schema]:
    return {
        "IndexRequest": {
            "description": 'With {"ready": true}, models that are ready only; everything else is ignored.',
            "examples": [{"ready": True}],
        },
        "Index": _list(
            _closed(
                {
                    "name": _TEXT,
                    "version": _TEXT,
                    "state": {"enum": ["READY", "UNAVAILABLE"]},
                    "reason": _TEXT,
                },
                "A model and whether it takes requests.",
            ),
            maxItems=1,
        ),
    }


def _statistics() -> dict[str, Schema]:
    duration = _closed(
        {"count": _COUNT, "ns": _COUNT}, "How many there were, and how long they took together."
    )
    stages = ("queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")
    entry = _closed(
        {
            "name": _TEXT,
            "version": _TEXT,
            **dict.fromkeys(("last_inference", "inference_count", "execution_count"), _COUNT),
            "inference_stats": _closed(
                dict.fromkeys(("success", "fail", *stages), reference("Duration")),
                "What is not measured has a count of 0.",
            ),
            "batch_stats": _list({}, maxItems=0),
        },
        "What the model has done since the server started.",
    )
    return {
        "Duration": duration,
        "Statistics": _closed({"model_stats": _list(entry, minItems=1, maxItems=1)}, "Triton's statistics."),
    }


def _request(signature: Signature | None) -> dict[str, Schema]:
    size = {**_COUNT, "maximum": MAX_DIMENSION}
    data = {
        "type": "array",
        "description": "The elements row by row, flat or nested as the shape; null is a missing value.",
        "items": {"anyOf": [{"type": ["number", "string", "boolean", "null"]}, reference("Data")]},
    }
    properties = {
        "name": _TEXT,
        "datatype": reference("Datatype"),
        "shape": _list(size),
        "data": reference("Data"),
    }
    parameters = {"description": "binary_data_size: the number of bytes of this tensor after the JSON."}
    tensor = _open({**properties, "parameters": parameters}, "An input.", ("data", "parameters"))
    binary = {"description": "binary_data: whether this output is wanted as bytes after the JSON."}
    wanted = _open({"name": _TEXT, "parameters": binary}, "An output that is wanted.", ("parameters",))
    return {
        "Data": data,
        "InferenceRequest": _open(
            {
                "inputs": _list(tensor, minItems=1),
                "id": {"type": ["string", "null"]},
                "outputs": {"anyOf": [_list(wanted), {"type": "null"}], "description": "Default: all."},
                "parameters": {"description": "binary_data_output: whether outputs are wanted as bytes."},
            },
            "Tensors for all inputs of the model.",
            ("id", "outputs", "parameters"),
        ),
        "Record": _record(signature),
        "RecordsRequest": _open(
            {"records": _list(reference("Record")), "id": {"type": ["string", "null"]}},
            "Rows that name their features. An extension of the protocol.",
            ("id",),
        ),
    }


def _record(signature: Signature | None) -> Schema:
    """A row of the model's; without a model, a row of any."""
    if signature is None or not signature.features:
        return {
            "type": "object",
            "description": "A value for each feature. One that is not there is missing; an unknown one is an error.",
            "additionalProperties": {"type": ["number", "string", "boolean", "null"]},
        }
    inputs = signature.inputs
    kinds = (
        [spec.datatype for spec in inputs]
        if len(inputs) > 1
        else [inputs[0].datatype] * len(signature.features)
    )
    features = dict(zip(signature.features, kinds, strict=True))
    optional = tuple(name for name, kind in features.items() if kind == "BYTES" or kind.startswith("FP"))
    properties = {name: _value(kind) for name, kind in features.items()}
    return _closed(properties, "A value for each feature. One that is not there is missing.", optional)


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


def _response() -> dict[str, Schema]:
    tensor = _closed(
        {
            "name": _TEXT,
            "datatype": reference("Datatype"),
            "shape": _list(_COUNT),
            "data": reference("Data"),
            "parameters": _PARAMETERS,
        },
        "An output: with data, or with parameters.binary_data_size.",
        ("data", "parameters"),
    )
    names = {"model_name": _TEXT, "model_version": _TEXT, "id": _TEXT}
    record = {
        "type": "object",
        "description": "label and probabilities of a classifier, value of a regressor; else each output by its name.",
        "minProperties": 1,
    }
    return {
        "InferenceResponse": _closed(
            {**names, "outputs": _list(tensor, minItems=1)}, "The outputs.", ("id",)
        ),
        "RecordsResponse": _closed(
            {**names, "records": _list(record)}, "An answer for each record.", ("id",)
        ),
    }
