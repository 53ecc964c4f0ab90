"""Turns the answers that scikit-learn's converter wraps into lists and dictionaries back into plain tensors.

A ZipMap (a dictionary from class to probability for each row) becomes its input, and its class labels a property;
a SequenceConstruct becomes one output for each of its items. Only the bytes of these nodes and outputs change, and
whatever is not understood stays as it is: judging the model is left to `runtime`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelwright_serving import wire
from modelwright_serving.wire import Field, MalformedError, encoded

_MARKS = (b"ZipMap", b"SequenceConstruct")
_WRAPPERS = {("ZipMap", "ai.onnx.ml"), ("SequenceConstruct", "")}
_FLOAT = 1
# An Identity needs the operators of ONNX itself; every version has it.
_OPERATORS = encoded(8, encoded(1, "") + encoded(2, 13))
# Far above any graph; keeps a file made of nothing but tiny fields from holding up the start.
_MAX_FIELDS = 2_000_000


@dataclass(frozen=True)
class Plain:
    """A model whose outputs are tensors as far as they could be made so; `classes` is JSON text."""

    content: bytes
    classes: str | None = None


@dataclass
class _Node:
    """The parts of a NodeProto that matter here."""

    place: Field
    kind: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: list[Field] = field(default_factory=list)


@dataclass(frozen=True)
class _Change:
    place: Field
    content: bytes


@dataclass
class _Graph:
    """The nodes that wrap, and by name the outputs, and the types noted for tensors in between."""

    wrappers: list[_Node] = field(default_factory=list)
    outputs: dict[str, Field] = field(default_factory=dict)
    notes: dict[str, Field] = field(default_factory=dict)


def plain_outputs(content: bytes) -> Plain:
    """The model with plain outputs; the very same bytes if there is nothing to do, or nothing that can be done."""
    if not any(mark in content for mark in _MARKS):
        return Plain(content)
    try:
        return _rewritten(content, _Reader())
    except (MalformedError, UnicodeDecodeError):
        return Plain(content)


class _Reader:
    """Reads messages as long as they are of a sane size altogether."""

    def __init__(self) -> None:
        self._left = _MAX_FIELDS

    def fields(self, message: memoryview) -> Iterator[Field]:
        for found in wire.fields(message):
            self._left -= 1
            if self._left < 0:
                raise MalformedError("too many fields")
            yield found

    def graph(self, message: memoryview) -> _Graph:
        graph = _Graph()
        for part in self.fields(message):
            if part.number == 1:
                node = self._node(part)
                if (node.kind, node.domain) in _WRAPPERS and node.inputs and len(node.outputs) == 1:
                    graph.wrappers.append(node)
            elif part.number in {12, 13}:
                values = graph.outputs if part.number == 12 else graph.notes
                values[self.text(part.message, 1)] = part
        return graph

    def _node(self, place: Field) -> _Node:
        node = _Node(place)
        for part in self.fields(place.message):
            match part.number:
                case 1:
                    node.inputs.append(part.text)
                case 2:
                    node.outputs.append(part.text)
                case 4:
                    node.kind = part.text
                case 5:
                    node.attributes.append(part)
                case 7:
                    node.domain = part.text
        return node

    def text(self, message: memoryview, number: int) -> str:
        """The last field of this number, as protocol buffers have it."""
        found = [part for part in self.fields(message) if part.number == number]
        return found[-1].text if found else ""

    def labels(self, node: _Node) -> list[str] | list[int]:
        """The classes that a ZipMap names."""
        for attribute in node.attributes:
            name = self.text(attribute.message, 1)
            parts = list(self.fields(attribute.message))
            if name == "classlabels_strings":
                return [part.text for part in parts if part.number == 9]
            if name == "classlabels_int64s":
                return [number for part in parts if part.number == 8 for number in part.integers]
        return []

    def item_type(self, output: Field) -> bytes:
        """The type of the items of a sequence, as it stands in the output's declaration."""
        message = output.message
        for number in (2, 4, 1):
            found = [part for part in self.fields(message) if part.number == number]
            if len(found) != 1:
                raise MalformedError("an output of a sequence has no type")
            message = found[0].message
        return bytes(message)


def _rewritten(content: bytes, reader: _Reader) -> Plain:
    message = memoryview(content)
    parts = list(reader.fields(message))
    graphs = [part for part in parts if part.number == 7]
    if len(graphs) != 1:
        return Plain(content)
    graph = reader.graph(graphs[0].message)
    changes: list[_Change] = []
    classes: set[str] = set()
    for node in graph.wrappers:
        if node.outputs[0] not in graph.outputs:
            continue
        labels = reader.labels(node)
        if node.kind == "ZipMap":
            changes += _unzipped(node, graph, len(labels))
        else:
            changes += _opened(node, graph, reader)
        if labels:
            classes.add(json.dumps(labels, ensure_ascii=False))
    if not changes:
        return Plain(content)
    inner = _spliced(graphs[0].message, changes)
    known = any(part.number == 8 and not reader.text(part.message, 1) for part in parts)
    pieces = (message[: graphs[0].start], wire.header(7, len(inner)), inner, message[graphs[0].end :])
    # Dictionaries of several kinds are several answers: no one list of classes says what their columns are.
    agreed = classes.pop() if len(classes) == 1 else None
    return Plain(b"".join((*pieces, b"" if known else _OPERATORS)), agreed)


def _unzipped(node: _Node, graph: _Graph, width: int) -> list[_Change]:
    """Pass on what the ZipMap got; without labels it got something else than rows, whose shape is left open."""
    name = node.outputs[0]
    shape = encoded(2, encoded(1, b"") + encoded(1, encoded(1, width))) if width else b""
    tensor = encoded(1, encoded(1, _FLOAT) + shape)
    return [
        _Change(node.place, _identity(node.inputs[0], name)),
        _Change(graph.outputs[name], _output(name, tensor)),
        *_forgotten(name, graph),
    ]


def _opened(node: _Node, graph: _Graph, reader: _Reader) -> list[_Change]:
    """Give back the items of a sequence one by one, numbered."""
    name = node.outputs[0]
    kind = reader.item_type(graph.outputs[name])
    items = [f"{name}_{index}" for index in range(len(node.inputs))]
    return [
        _Change(node.place, b"".join(map(_identity, node.inputs, items))),
        _Change(graph.outputs[name], b"".join(_output(item, kind) for item in items)),
        *_forgotten(name, graph),
    ]


def _forgotten(name: str, graph: _Graph) -> list[_Change]:
    return [_Change(graph.notes[name], b"")] if name in graph.notes else []


def _identity(source: str, target: str) -> bytes:
    return encoded(1, encoded(1, source) + encoded(2, target) + encoded(4, "Identity"))


def _output(name: str, kind: bytes) -> bytes:
    return encoded(12, encoded(1, name) + encoded(2, kind))


def _spliced(message: memoryview, changes: list[_Change]) -> bytes:
    pieces: list[memoryview | bytes] = []
    done = 0
    for change in sorted(changes, key=lambda change: change.place.start):
        pieces += (message[done : change.place.start], change.content)
        done = change.place.end
    return b"".join((*pieces, message[done:]))
