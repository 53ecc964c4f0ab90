"""What the server and the model say about themselves."""

import re
from typing import Any
from urllib.parse import quote

from conformance import bodies
from conformance.checks import Group, expect, need, shown
from conformance.sources import METADATA_FAILURE, binary, grpc, kserve_api, rest, schema, triton
from conformance.target import Target
from conformance.tensors import DATATYPES
from conformance.wire import Reply

GROUP = Group("http")
SERVER = rest(
    '$metadata_server_response = { "name" : $string, "version" : $string, "extensions" : [ $string, ... ] }'
)
MODEL = rest(
    '$metadata_model_response = { "name" : $string, "versions" : [ $string, ... ] #optional, '
    '"platform" : $string, "inputs" : [ $metadata_tensor, ... ], "outputs" : [ $metadata_tensor, ... ] }'
)


def texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def expect_error(reply: Reply) -> str:
    """An error status and a body that says why."""
    expect(reply.status >= 400, f"status {reply.status}: {shown(reply.body)}")
    message = reply.document().get("error")
    expect(isinstance(message, str) and message, f"no error in the body: {shown(reply.body)}")
    return str(message)


@GROUP.must(
    "metadata.server",
    "server metadata is there",
    rest("A successful server metadata request is indicated by a 200 HTTP status code."),
)
def _(target: Target) -> None:
    expect(target.get("/v2").status == 200, f"status {target.get('/v2').status}")


@GROUP.must("metadata.server-fields", "server metadata has name, version and extensions", SERVER)
def _(target: Target) -> None:
    document = target.get("/v2").document()
    for name in ("name", "version"):
        expect(isinstance(document.get(name), str), f"{name} is {document.get(name)!r}")
    expect(texts(document.get("extensions")), f"extensions is {document.get('extensions')!r}")


@GROUP.must(
    "metadata.content-type",
    "metadata is application/json",
    schema("'200': content: application/json: schema: '#/components/schemas/metadata_server_response'"),
)
def _(target: Target) -> None:
    for path in ("/v2", target.model_path):
        found = target.get(path).content_type
        expect(found == "application/json", f"Content-Type of {path} is {found!r}")


@GROUP.should(
    "metadata.server-slash",
    "the path may end in a slash",
    schema("paths: /v2/: get: summary: Server Metadata"),
)
def _(target: Target) -> None:
    reply = target.get("/v2/")
    expect(reply.status == 200, f"status {reply.status}")


@GROUP.should(
    "metadata.binary-extension",
    "a server that speaks binary tensors says so",
    binary(
        "Because this extension is supported, Triton reports “binary_tensor_data” "
        "in the extensions field of its Server Metadata."
    ),
)
def _(target: Target) -> None:
    said = "binary_tensor_data" in target.get("/v2").document().get("extensions", [])
    need(target.speaks_binary or said, "the server does not speak binary tensors")
    expect(said, "binary tensors work, but extensions do not name binary_tensor_data")
    expect(target.speaks_binary, "extensions name binary_tensor_data, but binary tensors do not work")


@GROUP.must(
    "metadata.model",
    "model metadata is there",
    rest("A successful model metadata request is indicated by a 200 HTTP status code."),
)
def _(target: Target) -> None:
    reply = target.get(target.model_path)
    expect(reply.status == 200, f"status {reply.status}")
    expect(reply.document().get("name") == target.model, f"name is {reply.document().get('name')!r}")


@GROUP.must("metadata.model-fields", "model metadata has platform, inputs and outputs", MODEL)
def _(target: Target) -> None:
    document = target.metadata
    expect(isinstance(document.get("platform"), str), f"platform is {document.get('platform')!r}")
    for key in ("inputs", "outputs"):
        expect(bodies.listed(document, key), f"{key} is empty")


@GROUP.must(
    "metadata.versions",
    "versions are strings, or not there at all",
    rest('"versions" : The model versions that may be explicitly requested via the appropriate endpoint.'),
)
def _(target: Target) -> None:
    if "versions" in target.metadata:
        expect(texts(target.metadata["versions"]), f"versions is {target.metadata['versions']!r}")


@GROUP.must(
    "metadata.tensors",
    "each tensor has name, datatype and shape",
    rest('$metadata_tensor = { "name" : $string, "datatype" : $string, "shape" : [ $number, ... ] }'),
)
def _(target: Target) -> None:
    for entry in (*target.metadata["inputs"], *target.metadata["outputs"]):
        expect(isinstance(entry.get("name"), str), f"name is {entry.get('name')!r}")
        expect(isinstance(entry.get("datatype"), str), f"datatype is {entry.get('datatype')!r}")
        expect(isinstance(entry.get("shape"), list), f"shape is {entry.get('shape')!r}")


@GROUP.must(
    "metadata.datatypes",
    "datatypes are the protocol's",
    grpc("Tensor data types are shown in the following table along with the size of each type, in bytes."),
)
def _(target: Target) -> None:
    for entry in (*target.metadata["inputs"], *target.metadata["outputs"]):
        expect(entry["datatype"] in DATATYPES, f"datatype is {entry['datatype']!r}")


@GROUP.must(
    "metadata.variable-sizes",
    "a dimension of any size is -1",
    rest("Variable-size dimensions are specified as -1."),
)
def _(target: Target) -> None:
    for entry in (*target.metadata["inputs"], *target.metadata["outputs"]):
        sizes = entry["shape"]
        expect(
            all(type(size) is int and size >= -1 for size in sizes), f"shape of {entry['name']} is {sizes}"
        )


@GROUP.should(
    "metadata.platform",
    "the platform is named as project_format",
    grpc("Platform names use the format “<project>_<format>”."),
)
def _(target: Target) -> None:
    found = target.metadata.get("platform")
    expect(isinstance(found, str) and re.fullmatch(r"[^_\s]+_\S+", found), f"platform is {found!r}")


@GROUP.must(
    "metadata.version-path",
    "metadata of a version is that of the model",
    rest("GET v2/models/<model_name>[/versions/<model_version>]"),
)
def _(target: Target) -> None:
    reply = target.get(target.version_path)
    expect(reply.status == 200, f"status {reply.status}: {shown(reply.body)}")
    for key in ("name", "inputs", "outputs"):
        expect(reply.document().get(key) == target.metadata[key], f"{key} differs")


@GROUP.must(
    "metadata.unknown-model", "metadata of an unknown model is an error that says so", METADATA_FAILURE
)
def _(target: Target) -> None:
    expect_error(target.get("/v2/models/no-such-model"))


@GROUP.must(
    "metadata.unknown-version", "metadata of an unknown version is an error that says so", METADATA_FAILURE
)
def _(target: Target) -> None:
    _ = target.version
    expect_error(target.get(f"{target.model_path}/versions/no-such-version"))


@GROUP.should(
    "metadata.not-found", "an unknown model is 404", triton("TRITONSERVER_ERROR_NOT_FOUND | 404 | Not Found")
)
def _(target: Target) -> None:
    status = target.get("/v2/models/no-such-model").status
    expect(status == 404, f"status {status}")


@GROUP.must(
    "metadata.case", "names are case-sensitive", kserve_api("All strings in all contexts are case-sensitive.")
)
def _(target: Target) -> None:
    other = target.model.swapcase()
    need(other != target.model, "the model's name has no letters")
    status = target.get(f"/v2/models/{quote(other)}").status
    expect(status >= 400, f"the model answers to {other!r}, too")
