"""The graph of an ONNX file: its nodes, attributes, subgraphs and functions. What they mean is left to the caller.

Reads the protobuf itself, because the server has no other reader of ONNX. Large contents (weights, trees) are never
copied, and the number of fields is bounded, so a hostile file costs little.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TypeAlias

import numpy as np

from modelwright_serving import protobuf
from modelwright_serving.protobuf import FIXED32, LENGTH, VARINT, Field, WireError

ML_DOMAIN = "ai.onnx.ml"
_MAX_FIELDS = 500_000
_MAX_DEPTH = 32
_MAX_VALUES = 64
# TensorProto.DataType: what NumPy calls it, and the field that holds values which are not raw.
_ELEMENTS = {
    1: ("<f4", 4),
    2: ("<u1", 5),
    3: ("<i1", 5),
    4: ("<u2", 5),
    5: ("<i2", 5),
    6: ("<i4", 5),
    7: ("<i8", 7),
    9: ("<?", 5),
    11: ("<f8", 10),
    12: ("<u4", 11),
    13: ("<u8", 11),
}
_RAW_DATA = 9


@dataclass(frozen=True)
class Constant:
    """A tensor that stands in the file; `values` is None unless it holds at most 64 numbers.

    `type` is a TensorProto.DataType: 1 is float, 7 is int64, 8 is string.
    """

    name: str
    type: int
    shape: tuple[int, ...]
    values: tuple[float, ...] | None


Shape: TypeAlias = "tuple[int, ...] | None"
Attribute: TypeAlias = (
    "int | float | str | Constant | Graph | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | None"
)


@dataclass(frozen=True)
class Node:
    """One operator at work. `domain` is "" for ONNX's own operators; an input that is left out is ""."""

    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    _spans: tuple[Field, ...] = field(repr=False, compare=False)
    _reader: "_Reader" = field(repr=False, compare=False)
    _depth: int = field(repr=False, compare=False)

    @cached_property
    def attributes(self) -> "dict[str, Attribute]":
        """By name, decoded on the first use: those of a tree ensemble are large. WireError if they are malformed.

        None is an attribute of another kind: a type, sparse or several tensors, a reference to an attribute of the
        function, text that is not UTF-8.
        """
        return dict(self._reader.attribute(span, self._depth) for span in self._spans)

    @property
    def graphs(self) -> "list[Graph]":
        """The subgraphs of If, Loop, Scan and their kind. Operators of ai.onnx.ml have none."""
        if self.domain == ML_DOMAIN:
            return []
        return [value for value in self.attributes.values() if isinstance(value, Graph)]


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of the file. Inputs and outputs have a shape (-1: any size) where the file declares one."""

    nodes: tuple[Node, ...]
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]
    constants: dict[str, Constant]

    def walk(self) -> Iterator[Node]:
        """All nodes, also those of subgraphs."""
        for node in self.nodes:
            yield node
            for graph in node.graphs:
                yield from graph.walk()


@dataclass(frozen=True)
class Model:
    """The main graph, the functions by (domain, name), and the version of each domain's operators."""

    graph: Graph
    functions: dict[tuple[str, str], Graph]
    opsets: dict[str, int]

    def walk(self) -> Iterator[Node]:
        """All nodes of all graphs and functions."""
        for graph in (self.graph, *self.functions.values()):
            yield from graph.walk()


def read(content: bytes) -> Model:
    """The graph of a model file; WireError if it is malformed, or has more than 500,000 fields."""
    return _Reader(content).model()


class _Reader:
    """Reads messages of one file as long as all of them together are of a sane size."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._left = _MAX_FIELDS

    def model(self) -> Model:
        graphs: list[Field] = []
        functions: dict[tuple[str, str], Graph] = {}
        opsets: dict[str, int] = {}
        for part in self._fields(0, len(self._content)):
            if part.number == 7:
                graphs.append(part)
            elif part.number == 8:
                domain, version = self._opset(part)
                opsets[domain] = version
            elif part.number == 25:
                key, function = self._function(part)
                if key in functions:
                    raise WireError("two functions have one name")
                functions[key] = function
        # Protocol Buffers would merge them; no program writes such a file.
        if len(graphs) != 1:
            raise WireError("a model has one graph")
        return Model(self._graph(graphs[0], 0), functions, opsets)

    def _fields(self, start: int, stop: int) -> Iterator[Field]:
        for found in protobuf.read(self._content, start, stop):
            self._left -= 1
            if self._left < 0:
                raise WireError("too many fields")
            yield found

    def _parts(self, span: Field) -> Iterator[Field]:
        if span.kind != LENGTH:
            raise WireError("a message has another type than expected")
        return self._fields(span.start, span.stop)

    def _text(self, span: Field) -> str:
        if span.kind != LENGTH:
            raise WireError("a string has another type than expected")
        return protobuf.text(self._content, span)

    def _name(self, span: Field) -> str:
        """Field 1 of a message, as protocol buffers have it: the last one counts."""
        name = ""
        for part in self._parts(span):
            if part.number == 1:
                name = self._text(part)
        return name

    def _opset(self, span: Field) -> tuple[str, int]:
        version = 0
        for part in self._parts(span):
            if part.number == 2:
                version = _number(part)
        return _domain(self._name(span)), version

    def _graph(self, span: Field, depth: int) -> Graph:
        if depth > _MAX_DEPTH:
            raise WireError("graphs are nested too deeply")
        nodes: list[Node] = []
        inputs: dict[str, Shape] = {}
        outputs: dict[str, Shape] = {}
        constants: dict[str, Constant] = {}
        for part in self._parts(span):
            if part.number == 1:
                nodes.append(self._node(part, depth))
            elif part.number == 5:
                constant = self._constant(part)
                constants[constant.name] = constant
            elif part.number == 11:
                inputs[self._name(part)] = self._shape(part)
            elif part.number == 12:
                outputs[self._name(part)] = self._shape(part)
            elif part.number == 15:
                constant = self._sparse(part)
                constants[constant.name] = constant
        return Graph(tuple(nodes), inputs, outputs, constants)

    def _function(self, span: Field) -> tuple[tuple[str, str], Graph]:
        name = domain = ""
        inputs: dict[str, Shape] = {}
        outputs: dict[str, Shape] = {}
        nodes: list[Node] = []
        for part in self._parts(span):
            match part.number:
                case 1:
                    name = self._text(part)
                case 4:
                    inputs[self._text(part)] = None
                case 5:
                    outputs[self._text(part)] = None
                case 7:
                    nodes.append(self._node(part, 0))
                case 10:
                    domain = self._text(part)
        return (_domain(domain), name), Graph(tuple(nodes), inputs, outputs, {})

    def _node(self, span: Field, depth: int) -> Node:
        kind = domain = ""
        inputs: list[str] = []
        outputs: list[str] = []
        attributes: list[Field] = []
        for part in self._parts(span):
            match part.number:
                case 1:
                    inputs.append(self._text(part))
                case 2:
                    outputs.append(self._text(part))
                case 4:
                    kind = self._text(part)
                case 5:
                    attributes.append(part)
                case 7:
                    domain = self._text(part)
        return Node(kind, _domain(domain), tuple(inputs), tuple(outputs), tuple(attributes), self, depth)

    def attribute(self, span: Field, depth: int) -> tuple[str, Attribute]:
        """The name and value of an attribute, which has one value or several of one kind."""
        name = ""
        value: Attribute = None
        several: dict[int, list[Field]] = {}
        for part in self._parts(span):
            if part.number == 1:
                name = self._text(part)
            elif part.number in {2, 3, 4, 5, 6}:
                value = self._single(part, depth)
            elif part.number in {7, 8, 9, 11}:
                several.setdefault(part.number, []).append(part)
        for number, parts in several.items():
            value = self._several(number, parts)
        return name, value

    def _single(self, part: Field, depth: int) -> Attribute:
        match part.number:
            case 2:
                return self._floats([part])[0]
            case 3:
                return _number(part)
            case 4:
                return self._lenient(part)
            case 5:
                return self._constant(part)
        return self._graph(part, depth + 1)

    def _several(self, number: int, parts: list[Field]) -> Attribute:
        if number == 7:
            return tuple(self._floats(parts))
        if number == 8:
            return tuple(value for part in parts for value in self._integers(part))
        if number == 9:
            texts = [self._lenient(part) for part in parts]
            return tuple(text for text in texts if text is not None) if None not in texts else None
        raise WireError("an attribute holds several graphs, which no operator has")

    def _lenient(self, span: Field) -> str | None:
        try:
            return self._text(span)
        except WireError:
            return None

    def _floats(self, spans: list[Field]) -> list[float]:
        raw = b"".join(self._content[span.start : span.stop] for span in spans)
        if len(raw) % 4 or any(span.kind not in {LENGTH, FIXED32} for span in spans) or not raw:
            raise WireError("a float has another size than expected")
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))

    def _integers(self, span: Field) -> list[int]:
        if span.kind != LENGTH:
            return [_number(span)]
        return [int(value) for value in protobuf.varints(self._content, span.start, span.stop).view(np.int64)]

    def _sparse(self, span: Field) -> Constant:
        """A sparse tensor has the name of its values."""
        shape: list[int] = []
        values = Constant("", 0, (), None)
        for part in self._parts(span):
            if part.number == 1:
                values = self._constant(part)
            elif part.number == 3:
                shape += self._integers(part)
        return Constant(values.name, values.type, tuple(shape), None)

    def _constant(self, span: Field) -> Constant:
        name = ""
        kind = 0
        shape: list[int] = []
        contents: list[Field] = []
        for part in self._parts(span):
            match part.number:
                case 1:
                    shape += self._integers(part)
                case 2:
                    kind = _number(part)
                case 8:
                    name = self._text(part)
                case 4 | 5 | 6 | 7 | 9 | 10 | 11:
                    contents.append(part)
        small = prod(shape) <= _MAX_VALUES and kind in _ELEMENTS
        return Constant(
            name, kind, tuple(shape), self._values(kind, contents, prod(shape)) if small else None
        )

    def _values(self, kind: int, contents: list[Field], count: int) -> tuple[float, ...] | None:
        """The numbers of a small tensor, or None if they do not stand in the file in an expected form."""
        dtype, number = _ELEMENTS[kind]
        numbers = {part.number for part in contents}
        if numbers == {_RAW_DATA} or (numbers == {number} and number in {4, 10}):
            raw = b"".join(self._content[part.start : part.stop] for part in contents)
            found = (
                np.frombuffer(raw, dtype).tolist() if len(raw) == count * np.dtype(dtype).itemsize else None
            )
        elif numbers == {number}:
            found = [value for part in contents for value in self._integers(part)]
        else:
            found = [] if not numbers else None
        return tuple(found) if found is not None and len(found) == count else None

    def _shape(self, value: Field) -> Shape:
        """The dimensions of a declared tensor, or of the tensors in a sequence; None if they are open."""
        kind = self._only(value, 2)
        if sequence := self._only(kind, 4):
            kind = self._only(sequence, 1)
        shape = self._only(self._only(kind, 1), 2)
        return shape and tuple(self._dimension(part) for part in self._parts(shape) if part.number == 1)

    def _only(self, span: Field | None, number: int) -> Field | None:
        found = [part for part in self._parts(span) if part.number == number] if span else []
        return found[0] if len(found) == 1 else None

    def _dimension(self, span: Field) -> int:
        size = -1
        for part in self._parts(span):
            size = _number(part) if part.number == 1 else -1
        return size if size > 0 else -1


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _number(span: Field) -> int:
    """An integer of any type, which may be negative."""
    if span.kind != VARINT:
        raise WireError("a number has another type than expected")
    return span.value - 2**64 if span.value >= 2**63 else span.value
