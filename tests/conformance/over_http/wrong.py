"""Requests that are wrong in one way each. What a server has to make of them is left to `errors`."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from conformance import bodies
from conformance.bodies import Body
from conformance.checks import NotApplicable, need
from conformance.target import Target
from conformance.tensors import FLOATS, INTEGERS

Build = Callable[[Target], Body]
Entries = list[dict[str, Any]]


def _changed(target: Target, change: Callable[[Entries], object]) -> Body:
    """A valid request with one thing wrong."""
    entries = [tensor.entry() for tensor in target.tensors()]
    change(entries)
    return bodies.as_json({"inputs": entries})


def _with(**fields: Any) -> Build:
    """The first input with other fields."""
    return lambda target: _changed(target, lambda entries: entries[0].update(fields))


def _without(field: str) -> Build:
    return lambda target: _changed(target, lambda entries: entries[0].pop(field))


def _bytes(content: bytes) -> Build:
    return lambda _: Body(content)


def _document(document: object) -> Build:
    return lambda _: bodies.as_json(document)


def _missing_input(target: Target) -> Body:
    need(len(target.inputs) > 1, "the model has one input")
    return _changed(target, lambda entries: entries.pop())


def _other_datatype(target: Target) -> Body:
    other = "BYTES" if target.inputs[0].datatype != "BYTES" else "FP32"
    data = ["x"] if other == "BYTES" else [1.0]
    entry = target.tensors()[0].entry()
    return _changed(target, lambda entries: entries[0].update(datatype=other, data=data * len(entry["data"])))


def _more_dimensions(target: Target) -> Body:
    shape = target.tensors()[0].shape
    return _changed(target, lambda entries: entries[0].update(shape=[*shape, 1]))


def _other_size(target: Target) -> Body:
    """One column too many, with the data for it."""
    shape = list(target.inputs[0].shape)
    fixed = [index for index, size in enumerate(shape) if size > 0]
    need(fixed, "no dimension of the first input is fixed")
    tensor = target.tensors()[0]
    sizes = tensor.shape
    sizes[fixed[-1]] += 1
    count = 1
    for size in sizes:
        count *= size
    data = (tensor.elements() * count)[:count]
    return _changed(target, lambda entries: entries[0].update(shape=sizes, data=data))


def _ragged(target: Target) -> Body:
    need(len(target.inputs[0].shape) > 1, "the first input has one dimension")
    nested = target.tensors()[0].elements(nested=True)
    nested[-1] = nested[-1][:-1]
    return _changed(target, lambda entries: entries[0].update(data=nested))


def _text_for_number(target: Target) -> Body:
    position = target.input_of(*FLOATS, *INTEGERS)
    return _changed(target, lambda entries: entries[position]["data"].__setitem__(0, "twelve"))


def _number_for_text(target: Target) -> Body:
    position = target.input_of("BYTES")
    return _changed(target, lambda entries: entries[position]["data"].__setitem__(0, {"a": 1}))


def _too_large_integer(target: Target) -> Body:
    position = target.input_of(*INTEGERS)
    return _changed(target, lambda entries: entries[position]["data"].__setitem__(0, 2**70))


def _fraction_for_integer(target: Target) -> Body:
    position = target.input_of(*INTEGERS)
    return _changed(target, lambda entries: entries[position]["data"].__setitem__(0, 1.5))


def _unknown_output(target: Target) -> Body:
    return bodies.plain(target.tensors(), outputs=[{"name": "no-such-output"}])


def _huge_shape(target: Target) -> Body:
    return _with(shape=[2**62] * len(target.inputs[0].shape))(target)


def _extra_input(target: Target) -> Body:
    extra = {"name": "no-such-input", "shape": [1], "datatype": "FP32", "data": [1.0]}
    return _changed(target, lambda entries: entries.append(extra))


KINDS: dict[str, tuple[str, Build]] = {
    "not-json": ("a body that is no JSON", _bytes(b'{"inputs": [')),
    "empty": ("an empty body", _bytes(b"")),
    "not-utf8": ("a body that is no UTF-8", _bytes(b'{"id": "\xff\xfe", "inputs": []}')),
    "not-an-object": ("a JSON body that is no object", _document([1, 2])),
    "deep": ("JSON nested 100,000 deep", _bytes(b"[" * 100_000)),
    "no-inputs": ("no inputs", _document({"id": "1"})),
    "empty-inputs": ("an empty list of inputs", _document({"inputs": []})),
    "inputs-not-a-list": ("inputs that are no list", _document({"inputs": {"name": "x"}})),
    "inputs-of-numbers": ("inputs that are no objects", _document({"inputs": [1, 2]})),
    "unknown-input": ("an input that the model does not have", _with(name="no-such-input")),
    "extra-input": ("an unknown input beside the right ones", _extra_input),
    "missing-input": ("an input left out", _missing_input),
    "input-twice": (
        "an input given twice",
        lambda target: _changed(target, lambda entries: entries.append(entries[0])),
    ),
    "no-name": ("an input without name", _without("name")),
    "no-datatype": ("an input without datatype", _without("datatype")),
    "no-shape": ("an input without shape", _without("shape")),
    "no-data": ("an input without data", _without("data")),
    "unknown-datatype": ("a datatype that the protocol does not have", _with(datatype="FP99")),
    "other-datatype": ("a datatype that the model does not take", _other_datatype),
    "more-dimensions": ("a shape with one dimension too many", _more_dimensions),
    "other-size": ("a size that the model does not take", _other_size),
    "too-few-elements": (
        "fewer elements than the shape says",
        lambda target: _changed(target, lambda entries: entries[0]["data"].pop()),
    ),
    "too-many-elements": (
        "more elements than the shape says",
        lambda target: _changed(target, lambda entries: entries[0]["data"].append(entries[0]["data"][0])),
    ),
    "ragged": ("nested data with a short row", _ragged),
    "negative-size": ("a negative size in a shape", _with(shape=[-1, -30])),
    "fractional-size": ("a shape that is no list of integers", _with(shape=[1.5, "2"])),
    "huge-shape": ("a shape of 2^62 rows", _huge_shape),
    "data-not-a-list": ("data that is no list", _with(data="abc")),
    "text-for-number": ("a text where a number belongs", _text_for_number),
    "object-for-text": ("an object where a text belongs", _number_for_text),
    "integer-range": ("an integer beyond its datatype", _too_large_integer),
    "fraction-for-integer": ("a fraction where an integer belongs", _fraction_for_integer),
    "unknown-output": ("an output that the model does not have", _unknown_output),
}


def wrong_bodies(target: Target) -> Iterator[tuple[str, Body]]:
    """Every wrong body that can be built for this model."""
    for kind, (_, build) in KINDS.items():
        with suppress(NotApplicable):
            yield kind, build(target)
