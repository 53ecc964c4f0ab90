"""Request bodies to tensors, without a server: what is taken, what is refused and with which words."""

import json
import struct
from math import prod
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwright_serving.oip.answer import Answer, Encoder, RunOutputs
from modelwright_serving.oip.binary import from_bytes, to_bytes
from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.request import decode
from modelwright_serving.oip.signature import NUMPY_TYPES, Signature, TensorSpec
from modelwright_serving.oip.tensors import Tensor, from_json, unpack

SIGNATURE = Signature(
    (TensorSpec("x", "FP32", (-1, 2)), TensorSpec("n", "INT8", (-1,)), TensorSpec("s", "BYTES", (-1,))),
    (TensorSpec("y", "FP32", (-1, 2)), TensorSpec("label", "BYTES", (-1,))),
)
GOOD: dict[str, dict[str, Any]] = {
    "x": {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2.5, None, 4]},
    "n": {"name": "n", "datatype": "INT8", "shape": [2], "data": [-1, 2]},
    "s": {"name": "s", "datatype": "BYTES", "shape": [2], "data": ["a", None]},
}


def body(**changed: dict[str, Any]) -> bytes:
    """A good request, apart from the named inputs."""
    return json.dumps(
        {"inputs": [{**tensor, **changed.get(name, {})} for name, tensor in GOOD.items()]}
    ).encode()


def refusal(content: bytes, header_length: int | None = None) -> str:
    with pytest.raises(OipError) as caught:
        decode(SIGNATURE, content, header_length)
    assert caught.value.problem.value == 400
    return caught.value.message


def test_a_good_request_becomes_tensors_in_the_models_order() -> None:
    shuffled = json.dumps({"inputs": [GOOD["s"], GOOD["x"], GOOD["n"]], "id": "7"}).encode()
    request = decode(SIGNATURE, shuffled)
    x, n, s = request.tensors(SIGNATURE)
    np.testing.assert_array_equal(x, np.array([[1, 2.5], [np.nan, 4]], np.float32))
    assert (n.tolist(), n.dtype.name) == ([-1, 2], "int8")
    assert s.tolist() == ["a", ""]
    assert request.id == "7"
    assert request.wanted == ((0, False), (1, False))


BAD_TENSORS = [
    ("x", {"datatype": "FP64"}, "inputs[0] (x): datatype is 'FP64', but the model takes FP32"),
    ("x", {"datatype": None}, "inputs[0] (x): datatype is missing, but the model takes FP32"),
    ("x", {"shape": [4]}, "inputs[0] (x): shape is [4], but the model takes [-1, 2] (-1: any size)"),
    ("x", {"shape": [1, 4]}, "inputs[0] (x): shape is [1, 4], but the model takes [-1, 2] (-1: any size)"),
    ("x", {"shape": [-1, 2]}, "inputs[0] (x): shape has to be a list of sizes, such as [1, 4]"),
    ("x", {"shape": [True, 2]}, "inputs[0] (x): shape has to be a list of sizes, such as [1, 4]"),
    ("x", {"shape": [2**31, 2]}, "inputs[0] (x): shape has to be a list of sizes, such as [1, 4]"),
    ("x", {"shape": "2,2"}, "inputs[0] (x): shape has to be a list of sizes, such as [1, 4]"),
    ("x", {"shape": [3, 2]}, "inputs[0] (x): data holds 4 elements, but shape [3, 2] needs 6"),
    ("x", {"data": 1}, "inputs[0] (x): data has to be a list"),
    ("x", {"data": [[1, 2], [3]]}, "inputs[0] (x): nested data does not have shape [2, 2]"),
    ("x", {"data": [[1, 2]]}, "inputs[0] (x): nested data does not have shape [2, 2]"),
    ("x", {"data": [[1, 2], 3]}, "inputs[0] (x): nested data does not have shape [2, 2]"),
    ("x", {"data": [1, 2, [3], 4]}, "inputs[0] (x): element 2 of data is a list or an object"),
    ("x", {"data": [[[1], [2]], [[3], [4]]]}, "inputs[0] (x): element 0 of data is a list or an object"),
    ("x", {"data": [1, 2, "3", 4]}, "inputs[0] (x): element 2 of data is the string '3'"),
    ("x", {"data": [1, None, "3", 4]}, "inputs[0] (x): element 2 of data is the string '3'"),
    ("x", {"data": [1, 2, True, 4]}, "inputs[0] (x): data holds a boolean"),
    ("n", {"data": [1, 2.5]}, "inputs[1] (n): element 1 of data is the number 2.5, which INT8 cannot hold"),
    ("n", {"data": [1, 128]}, "inputs[1] (n): data holds a number outside the range of INT8"),
    ("n", {"data": [1, None]}, "inputs[1] (n): element 1 of data is null"),
    ("s", {"data": ["a", 1]}, "inputs[2] (s): element 1 of data is the number 1, which BYTES cannot hold"),
    ("s", {"name": "t"}, "inputs[2]: the model has no input 't'; it has 'x', 'n', 's'"),
    ("s", {"name": "n"}, "inputs[2]: input 'n' is given twice"),
    ("s", {"name": None}, "inputs[2].name has to be a string"),
    ("s", {"parameters": {"binary_data_size": 3}}, "inputs[2] (s): binary_data_size is given, but"),
    ("s", {"parameters": {"binary_data_size": -1}}, "inputs[2] (s): parameters.binary_data_size has to be"),
]


@pytest.mark.parametrize(("name", "change", "words"), BAD_TENSORS)
def test_a_bad_tensor_is_refused_by_name(name: str, change: dict[str, Any], words: str) -> None:
    assert refusal(body(**{name: change})).startswith(words)


BAD_BODIES = [
    (b"", "the body is not JSON"),
    (b"{", "the body is not JSON"),
    (b'{"inputs": [NaN]}', "the body is not JSON"),
    (b"[" * 5000, "the body is not JSON"),
    (b'"\xff"', "the body is not JSON"),
    (b"[]", "the body has to be a JSON object"),
    (b"{}", "inputs has to be a list of tensors"),
    (b'{"inputs": {}}', "inputs has to be a list of tensors"),
    (b'{"inputs": []}', "inputs: the model also needs 'x', 'n', 's'"),
    (b'{"inputs": [3]}', "inputs[0] has to be an object"),
    (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2]}]}', "inputs[0] (x): data is missing"),
]


@pytest.mark.parametrize(("content", "words"), BAD_BODIES)
def test_a_bad_body_is_refused(content: bytes, words: str) -> None:
    assert refusal(content).startswith(words)


BAD_FIELDS = [
    ({"id": 3}, "id has to be a string"),
    ({"outputs": 3}, "outputs has to be a list"),
    ({"outputs": ["y"]}, "outputs[0] has to be an object"),
    ({"outputs": [{"name": "z"}]}, "outputs[0]: the model has no output 'z'; it has 'y', 'label'"),
    ({"outputs": [{"name": "y"}, {"name": "y"}]}, "outputs[1]: output 'y' is asked for twice"),
    ({"outputs": [{"name": "y", "parameters": {"binary_data": 1}}]}, "parameters.binary_data has to be true"),
    ({"parameters": {"binary_data_output": "yes"}}, "parameters.binary_data_output has to be true"),
]


@pytest.mark.parametrize(("fields", "words"), BAD_FIELDS)
def test_a_bad_field_beside_the_inputs_is_refused(fields: dict[str, Any], words: str) -> None:
    assert refusal(json.dumps({"inputs": list(GOOD.values()), **fields}).encode()).startswith(words)


def binary(tail: bytes, *sizes: int) -> tuple[bytes, int]:
    """A request with all inputs in binary, and the length of its JSON part."""
    inputs = [
        {**{k: v for k, v in tensor.items() if k != "data"}, "parameters": {"binary_data_size": size}}
        for tensor, size in zip(GOOD.values(), sizes, strict=True)
    ]
    header = json.dumps({"inputs": inputs}).encode()
    return header + tail, len(header)


def text(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


MATRIX = np.arange(4, dtype=np.float32).tobytes()


def test_binary_tensors_are_taken_in_their_order() -> None:
    request = decode(SIGNATURE, *binary(MATRIX + b"\x01\xff" + text(b"a", "\u2603".encode()), 16, 2, 12))
    assert [tensor.tolist() for tensor in request.tensors(SIGNATURE)] == [
        [[0, 1], [2, 3]],
        [1, -1],
        ["a", "\u2603"],
    ]


@pytest.mark.parametrize(
    ("tail", "sizes", "words"),
    [
        (MATRIX, (16, 2, 10), "inputs[1] (n): binary_data_size is 2, but only 0 bytes are left"),
        (
            MATRIX[:12],
            (12, 0, 0),
            "inputs[0] (x): 12 bytes of binary data, but shape [2, 2] of FP32 needs 16",
        ),
        (MATRIX + b"ab" + text(b"a"), (16, 2, 5), "inputs[2] (s): the binary data holds 1 strings"),
        (
            MATRIX + b"ab" + text(b"a", b"b", b"c"),
            (16, 2, 15),
            "inputs[2] (s): the binary data holds more than",
        ),
        (
            MATRIX + b"ab" + text(b"a") + b"\0",
            (16, 2, 6),
            "inputs[2] (s): the binary data ends within the length",
        ),
        (
            MATRIX + b"ab" + text(b"abc")[:-1],
            (16, 2, 6),
            "inputs[2] (s): the binary data ends within a string",
        ),
        (
            MATRIX + b"ab" + text(b"\xff", b""),
            (16, 2, 9),
            "inputs[2] (s): the binary data holds a string that is not",
        ),
        (MATRIX + b"ab" + text(b"a", b"b") + b"!", (16, 2, 10), "1 bytes of the body belong to no input"),
    ],
)
def test_bad_binary_tensors_are_refused(tail: bytes, sizes: tuple[int, ...], words: str) -> None:
    assert refusal(*binary(tail, *sizes)).startswith(words)


def test_a_header_longer_than_the_body_is_refused() -> None:
    assert refusal(body(), 10**6).startswith("Inference-Header-Content-Length is 1000000, but the body has")


def test_a_body_without_json_needs_a_model_with_one_input() -> None:
    assert refusal(MATRIX, 0).startswith("a body without JSON needs a model with one input")


def test_a_body_without_json_has_to_be_whole_rows() -> None:
    one = Signature((TensorSpec("x", "FP32", (-1, 2)),), SIGNATURE.outputs)
    assert decode(one, MATRIX, 0).tensors(one)[0].tolist() == [[0, 1], [2, 3]]
    with pytest.raises(OipError, match="15 bytes are not a whole number of rows of 8 bytes"):
        decode(one, MATRIX[:15], 0)


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["x", "n", "s", "?"]) | JSON_VALUES,
        "datatype": st.sampled_from(["FP32", "INT8", "BYTES"]) | JSON_VALUES,
        "shape": st.lists(st.integers(-1, 3), max_size=3) | JSON_VALUES,
        "data": st.lists(JSON_VALUES, max_size=6) | JSON_VALUES,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-2, 40)})
        | JSON_VALUES,
    },
)
DOCUMENTS = JSON_VALUES | st.fixed_dictionaries(
    {"inputs": st.lists(NEARLY, max_size=4) | JSON_VALUES},
    optional={"id": JSON_VALUES, "outputs": JSON_VALUES, "parameters": JSON_VALUES},
)


def decoded_or_refused(content: bytes, header_length: int | None) -> None:
    try:
        decode(SIGNATURE, content, header_length)
    except OipError as error:
        assert error.message  # noqa: PT017 - either outcome is right, any other exception is not


@settings(deadline=None)
@given(DOCUMENTS, st.binary(max_size=40), st.booleans())
def test_no_document_crashes_the_decoder(document: Any, tail: bytes, binary_tail: bool) -> None:
    header = json.dumps(document).encode()
    decoded_or_refused(header + tail if binary_tail else header, len(header) if binary_tail else None)


@settings(deadline=None)
@given(st.binary(max_size=200), st.none() | st.integers(0, 250))
def test_no_bytes_crash_the_decoder(content: bytes, header_length: int | None) -> None:
    decoded_or_refused(content, header_length)


def read(data: object, datatype: str, shape: list[int]) -> Tensor:
    return unpack(NUMPY_TYPES[datatype], from_json(data, datatype, shape, prod(shape)))


def elements(datatype: str) -> st.SearchStrategy[Any]:
    dtype = NUMPY_TYPES[datatype]
    if datatype == "BYTES":
        return st.text(st.characters(codec="utf-8"))
    if datatype == "BOOL":
        return st.booleans()
    if dtype.kind == "f":
        return st.floats(allow_infinity=False).map(
            lambda value: value if dtype.itemsize == 8 else value % 1000
        )
    bits = 8 * dtype.itemsize
    return (
        st.integers(0, 2**bits - 1)
        if dtype.kind == "u"
        else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )


@st.composite
def tensors(draw: st.DrawFn) -> tuple[str, np.ndarray[Any, Any]]:
    datatype = draw(st.sampled_from(sorted(NUMPY_TYPES)))
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    size = int(np.prod(shape))
    values = draw(st.lists(elements(datatype), min_size=size, max_size=size))
    return datatype, np.array(values, dtype=NUMPY_TYPES[datatype]).reshape(shape)


@settings(deadline=None)
@given(tensors())
def test_what_is_encoded_as_json_decodes_to_the_same_tensor(drawn: tuple[str, np.ndarray[Any, Any]]) -> None:
    datatype, tensor = drawn
    for by_row in (False, True):
        encoder = Encoder(Signature((), (TensorSpec("y", datatype, (-1,) * tensor.ndim),)), "m", "1")
        request = decode(Signature((), ()), b'{"inputs": []}')
        request.wanted = ((0, False),)
        answer = Answer(RunOutputs([tensor], by_row=by_row), 0, len(tensor))
        document = orjson.loads(encoder.encode(request, answer)[0])
        (output,) = document["outputs"]
        np.testing.assert_array_equal(read(output["data"], datatype, output["shape"]), tensor)


@settings(deadline=None)
@given(tensors())
def test_what_is_encoded_in_binary_decodes_to_the_same_tensor(
    drawn: tuple[str, np.ndarray[Any, Any]],
) -> None:
    datatype, tensor = drawn
    np.testing.assert_array_equal(
        unpack(tensor.dtype, from_bytes(memoryview(to_bytes(tensor)), datatype, list(tensor.shape))), tensor
    )


@settings(deadline=None)
@given(tensors())
def test_nested_data_decodes_like_flat_data(drawn: tuple[str, np.ndarray[Any, Any]]) -> None:
    datatype, tensor = drawn
    if tensor.dtype.kind == "f":
        tensor = np.nan_to_num(tensor)
    shape = list(tensor.shape)
    flat, nested = (
        read(tensor.ravel().tolist(), datatype, shape),
        read(tensor.tolist(), datatype, shape),
    )
    np.testing.assert_array_equal(flat, nested)
