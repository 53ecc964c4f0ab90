"""Describes the HTTP interface as an OpenAPI document: for any model, or for the one that is served.

`python -m modelwright_serving.http.openapi FILE` writes the general one.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelwright_serving.http.schemas import Schema, components, reference
from modelwright_serving.oip.signature import Signature

PATH = "/v2/openapi.json"
_JSON = "application/json"
_BINARY = "application/octet-stream"
_ABOUT = """One ONNX model over the Open Inference Protocol V2 and some of its extensions.

Every path that takes GET takes HEAD; another method is answered with 405 and the header Allow, another path with 404.
A name with a slash may stand in a path as it is. Bodies are read whatever their Content-Type is, plain or compressed
with gzip or deflate. Every error is a JSON object with the one field error."""
_DIGEST = {"modelwright-model-digest": {"required": True, "schema": {"type": "string"}}}
_LENGTH = "inference-header-content-length"
_ERRORS = {
    "400": "The request is not valid, or the model cannot take its values.",
    "404": "There is no such path, model or version.",
    "408": "The request took too long to arrive.",
    "413": "The body is too large: send fewer rows.",
    "414": "The target is too long.",
    "415": "The body is compressed in an unknown way.",
    "417": "The header Expect asks for something unknown.",
    "431": "The headers are too large.",
    "500": "The model failed on valid input.",
    "503": "Try again after the time in the header Retry-After.",
}
_ALWAYS = ("400", "408", "413", "414", "415", "417", "431", "503")
_RETRY = {"retry-after": {"required": True, "schema": {"type": "integer"}}}


@dataclass(frozen=True)
class Served:
    """The model that a document is about."""

    name: str
    version: str
    signature: Signature | None


def document(served: Served | None = None) -> Schema:
    """The document; with a model, its name and version stand in the paths and its features in the records."""
    name, version = (served.name, served.version) if served else ("{model}", "{version}")
    model = f"/v2/models/{name}"
    versioned = f"{model}/versions/{version}"
    paths = {
        **_server_paths(),
        **{path: _with_parameters(path, item) for path, item in _control_paths(name).items()},
        **{path: _with_parameters(path, item) for path, item in _model_paths(model, "").items()},
        **{path: _with_parameters(path, item) for path, item in _model_paths(versioned, "OfVersion").items()},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Modelwright serving",
            "version": "v2",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components(served.signature if served else None),
            "responses": {
                code: _response(text, "Error", headers=_headers(code)) for code, text in _ERRORS.items()
            },
        },
    }


def _server_paths() -> Schema:
    return {
        "/v2": _get("serverMetadata", "What this server is", "Server"),
        PATH: _get("openapi", "This document", None),
        "/v2/health/live": _get("live", "Whether the process works", "Live"),
        "/v2/health/ready": _get("ready", "Whether requests are welcome", "Ready", unready="NotReady"),
        "/v2/models": _get("models", "The names of all models", "Models"),
        "/v2/models/stats": _get("allStatistics", "What all models have done", "Statistics"),
        "/v2/repository/index": {
            "post": {
                **_operation(
                    "index", "All models and their states", {"200": _response("The models.", "Index")}
                ),
                "requestBody": {"content": {_JSON: {"schema": reference("IndexRequest")}}},
            }
        },
    }


def _control_paths(name: str) -> Schema:
    return {
        f"/v2/repository/models/{name}/{verb}": {
            "post": _operation(
                verb, f"Always refused, with what to do instead: a server does not {verb} its model", {}
            )
        }
        for verb in ("load", "unload")
    }


def _model_paths(path: str, suffix: str) -> Schema:
    return {
        path: _get(f"model{suffix}", "What the model takes and gives", "Model"),
        f"{path}/ready": _get(
            f"modelReady{suffix}", "Whether the model takes requests", "ModelReady", unready="NotReady"
        ),
        f"{path}/config": _get(f"configuration{suffix}", "The model in Triton's terms", "Configuration"),
        f"{path}/stats": _get(f"statistics{suffix}", "What the model has done", "Statistics"),
        f"{path}/infer": {"post": _inference(f"infer{suffix}")},
    }


def _inference(identity: str) -> Schema:
    answers = {"anyOf": [reference("InferenceResponse"), reference("RecordsResponse")]}
    length = {
        _LENGTH: {"schema": {"type": "integer"}, "description": "The bytes of JSON before the tensors."}
    }
    success = {
        "description": "The predictions.",
        "headers": {**_DIGEST, **length},
        "content": {_JSON: {"schema": answers}, _BINARY: {}},
    }
    parameter = {
        "name": "Inference-Header-Content-Length",
        "in": "header",
        "description": "The bytes of JSON before the tensors; 0 for a body that is the only input's bytes.",
        "schema": {"type": "integer", "minimum": 0},
    }
    asked = {"anyOf": [reference("InferenceRequest"), reference("RecordsRequest")]}
    return {
        **_operation(identity, "Predict", {"200": success, **_failures("500")}),
        "parameters": [parameter],
        "requestBody": {"required": True, "content": {_JSON: {"schema": asked}, _BINARY: {}}},
    }


def _get(identity: str, summary: str, schema: str | None, unready: str = "") -> Schema:
    success = _response(f"{summary}.", schema)
    refusals = {"503": _response(_ERRORS["503"], unready, headers=_RETRY)} if unready else {}
    return {"get": _operation(identity, summary, {"200": success, **refusals})}


def _operation(identity: str, summary: str, answers: Schema) -> Schema:
    return {"operationId": identity, "summary": summary, "responses": {**_failures(*_ALWAYS), **answers}}


def _failures(*codes: str) -> Schema:
    return {code: {"$ref": f"#/components/responses/{code}"} for code in codes}


def _response(description: str, schema: str | None, headers: Schema | None = None) -> Schema:
    content = {_JSON: {"schema": reference(schema) if schema else {"type": "object"}}}
    return {"description": description, "content": content, **({"headers": headers} if headers else {})}


def _headers(code: str) -> Schema:
    return _RETRY if code == "503" else {}


def _with_parameters(path: str, item: Schema) -> Schema:
    """Describe the parts of the path that are open, which may also turn out to be unknown."""
    names = [name for name in ("model", "version") if f"{{{name}}}" in path]
    if not names:
        return item
    for operation in item.values():
        operation["responses"].update(_failures("404"))
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    return {"parameters": parameters, **item}


def main(path: str) -> None:
    """Write the general document to a file."""
    Path(path).write_text(f"{json.dumps(document(), indent=2)}\n")


if __name__ == "__main__":
    main(sys.argv[1])
