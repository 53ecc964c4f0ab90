"""ModelInferRequest to the tensors that the model takes.

The requests of a caller differ in little but their values, so the decoder remembers where the values were in a message.
The next message of that length is compared with it outside the values; if it is equal there, it is not parsed.
"""

from dataclasses import dataclass
from typing import NamedTuple

from modelwright_serving.limits import LARGE, SURPLUS_TENSORS
from modelwright_serving.oip.binary import from_bytes
from modelwright_serving.oip.errors import CostlyError, OipError, Problem
from modelwright_serving.oip.request import MAX_DIMENSION, InferRequest, check_empty
from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.oip.tensors import Packed, Part
from modelwright_serving.rpc import contents, messages
from modelwright_serving.rpc.messages import InferFields, InputFields

_MAX_TEMPLATES = 64
_MAX_CONSTANT = 16 * 1024


class Place(NamedTuple):
    """An input whose elements stand in the message as the binary form has them."""

    start: int
    stop: int
    spec: TensorSpec
    shape: list[int]


class Target:
    """The model that requests have to name."""

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version

    def check(self, name: str, version: str) -> None:
        """OipError(NOT_FOUND) unless this is the model that is served."""
        if name != self.name:
            raise OipError(
                f"unknown model {name[:100]!r}: this server serves {self.name!r}", Problem.NOT_FOUND
            )
        if version not in {"", self.version}:
            raise OipError(
                f"unknown version {version[:100]!r}: model {self.name!r} is served as version {self.version!r}",
                Problem.NOT_FOUND,
            )


class RequestDecoder:
    """Decodes the requests of one model."""

    def __init__(self, signature: Signature, target: Target) -> None:
        self._signature = signature
        self._target = target
        self._templates: dict[int, _Template] = {}
        tensors = 2 * len(signature.inputs) + len(signature.outputs)
        self._most_tensors = tensors + SURPLUS_TENSORS
        # Strings are read one by one.
        self._large = LARGE // 8 if any(spec.datatype == "BYTES" for spec in signature.inputs) else LARGE

    def decode(self, data: bytes, *, at_once: bool = False) -> InferRequest:
        """The request in a message; OipError if there is none for this model.

        CostlyError if it has to be done `at_once` and takes long.
        """
        if at_once and len(data) > self._large:
            raise CostlyError
        template = self._templates.get(len(data))
        request = template.read(data) if template is not None else None
        return request if request is not None else self._parse(data, at_once=at_once)

    def _parse(self, data: bytes, *, at_once: bool) -> InferRequest:
        found = messages.infer_request(data, self._most_tensors, at_once=at_once)
        self._target.check(found.model_name, found.model_version)
        wanted = self._wanted(found.outputs)
        inputs: list[Part] = []
        places: list[Place] = []
        for index in self._order(found):
            given = found.inputs[index]
            try:
                inputs.append(self._tensor(data, found, index, places))
            except OipError as error:
                raise error.within(f"inputs[{index}] ({given.name})") from None
        if len(places) == len(inputs):
            self._learn(data, found, places, wanted)
        return InferRequest(inputs, wanted, _id(data, found), tokens=found.tokens)

    def _tensor(self, data: bytes, found: InferFields, index: int, places: list[Place]) -> Part:
        given = found.inputs[index]
        spec = self._signature.inputs[self._signature.input_positions[given.name]]
        shape = _shape(spec, given)
        self._signature.check_rows(spec, shape)
        where = _where(found, index)
        if where is None:
            return contents.tensor(data, spec.datatype, shape, given.contents)
        places.append(Place(*where, spec, shape))
        return from_bytes(memoryview(data)[where[0] : where[1]], spec.datatype, shape)

    def _order(self, found: InferFields) -> list[int]:
        """The index of the request's input for each input of the model."""
        if found.raw and any(given.contents for given in found.inputs):
            raise OipError("a request has either raw_input_contents or typed contents, never both")
        if found.raw and len(found.raw) != len(found.inputs):
            raise OipError(
                f"raw_input_contents has {len(found.raw)} entries, but the request has {len(found.inputs)} inputs"
            )
        by_name: dict[str, int] = {}
        for index, given in enumerate(found.inputs):
            _expect(given.name, f"inputs[{index}]", self._signature.input_positions, "input")
            if given.name in by_name:
                raise OipError(f"inputs[{index}]: input {given.name!r} is given twice")
            by_name[given.name] = index
        missing = [spec.name for spec in self._signature.inputs if spec.name not in by_name]
        if missing:
            raise OipError(f"inputs: the model also needs {_listed(missing)}")
        return [by_name[spec.name] for spec in self._signature.inputs]

    def _wanted(self, names: list[str]) -> tuple[tuple[int, bool], ...]:
        if not names:
            return self._signature.all_outputs[True]
        for index, name in enumerate(names):
            _expect(name, f"outputs[{index}]", self._signature.output_positions, "output")
        if len(set(names)) != len(names):
            raise OipError("outputs: an output is asked for twice")
        return tuple((self._signature.output_positions[name], True) for name in names)

    def _learn(
        self, data: bytes, found: InferFields, places: list[Place], wanted: tuple[tuple[int, bool], ...]
    ) -> None:
        """Remember the request if all that may differ in the next one has a fixed place and size."""
        if any(place.spec.datatype == "BYTES" for place in places):
            return
        identity = (found.id.start, found.id.stop) if found.id is not None else (0, 0)
        constants = _between(data, sorted([identity, *((place.start, place.stop) for place in places)]))
        if sum(len(text) for _, _, text in constants) > _MAX_CONSTANT:
            return
        if len(self._templates) >= _MAX_TEMPLATES:
            self._templates.clear()
        self._templates[len(data)] = _Template(constants, places, wanted, identity, found.tokens)


@dataclass(frozen=True, slots=True)
class _Template:
    """A request with holes for its values and its id."""

    constants: list[tuple[int, int, bytes]]
    places: list[Place]
    wanted: tuple[tuple[int, bool], ...]
    identity: tuple[int, int]
    tokens: bool

    def read(self, data: bytes) -> InferRequest | None:
        """The request, unless it differs in more than what the holes hold."""
        for start, stop, text in self.constants:
            if data[start:stop] != text:
                return None
        inputs = [
            Packed(data[place.start : place.stop], place.shape)
            if place.spec.datatype != "BOOL"
            else from_bytes(memoryview(data)[place.start : place.stop], "BOOL", place.shape)
            for place in self.places
        ]
        start, stop = self.identity
        if start == stop:
            return InferRequest(inputs, self.wanted, tokens=self.tokens)
        try:
            return InferRequest(inputs, self.wanted, str(data[start:stop], "utf-8"), tokens=self.tokens)
        except UnicodeDecodeError:
            return None


def _between(data: bytes, holes: list[tuple[int, int]]) -> list[tuple[int, int, bytes]]:
    """What lies outside the holes."""
    constants: list[tuple[int, int, bytes]] = []
    position = 0
    for start, stop in [*holes, (len(data), len(data))]:
        if start > position:
            constants.append((position, start, data[position:start]))
        position = stop
    return constants


def _where(found: InferFields, index: int) -> tuple[int, int] | None:
    """Where the elements of an input are, unless they have to be gathered."""
    if found.raw:
        return found.raw[index].start, found.raw[index].stop
    given = found.inputs[index]
    contents.check(given.datatype, given.contents)
    return contents.plain(given.datatype, given.contents)


def _shape(spec: TensorSpec, given: InputFields) -> list[int]:
    if given.datatype != spec.datatype:
        shown = repr(given.datatype[:40]) if given.datatype else "missing"
        raise OipError(f"datatype is {shown}, but the model takes {spec.datatype}")
    if not all(0 <= size <= MAX_DIMENSION for size in given.shape) or not spec.admits(given.shape):
        raise OipError(f"shape is {given.shape}, but the model takes {list(spec.shape)} (-1: any size)")
    if 0 in given.shape:
        check_empty(given.shape)
    return given.shape


def _id(data: bytes, found: InferFields) -> str | None:
    return str(data[found.id.start : found.id.stop], "utf-8") or None if found.id is not None else None


def _expect(name: str, where: str, positions: dict[str, int], kind: str) -> None:
    if name not in positions:
        raise OipError(f"{where}: the model has no {kind} {name[:100]!r}; it has {_listed(list(positions))}")


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
