"""Loads a model and proves it before it serves: digest, signature, warm-up, golden request.

Reading ONNX is left to `runtime`, comparing with the golden request to `golden`, serving to everything else.
"""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from modelwright_serving import golden, graph, process_memory, runtime, taken
from modelwright_serving.failures import StepError
from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.pace import Pace, measure
from modelwright_serving.protobuf import WireError
from modelwright_serving.rows.layout import aligned, filled
from modelwright_serving.rows.sharing import Sharing, judge
from modelwright_serving.steady import is_steady

MAX_BYTES = 2 * 1024**3
_UNKNOWN = Sharing(False, "not tried yet")
# What ONNX Runtime needs at most to load a byte of a file: trees of small integers take 14, weights 4.
_LOADED_BYTES = 16


@dataclass(frozen=True)
class LoadedModel:
    """A model that has passed every check; `sharing` says whether requests may share a run."""

    digest: str
    signature: Signature
    session: runtime.Session
    sharing: Sharing
    pace: Pace = field(default_factory=Pace)

    @property
    def joins_rows(self) -> bool:
        return self.sharing.allowed

    def run(self, inputs: list[Tensor], stop: runtime.Stop | None = None) -> list[Tensor]:
        """All outputs. The last row is repeated up to a whole portion, so that all come out as in any other run."""
        portion = self.sharing.portion
        if portion > 1 and (rows := len(inputs[0])) % portion:
            outputs = self._run(filled(inputs, -rows % portion), stop)
            return [output[:rows] for output in outputs]
        return self._run(inputs, stop)

    def _run(self, inputs: list[Tensor], stop: runtime.Stop | None) -> list[Tensor]:
        laid = aligned(inputs) if self.sharing.aligned else inputs
        return runtime.run(self.session, self.signature, laid, stop)


def load(
    path: Path,
    expected_digest: str | None,
    golden_file: Path | None = None,
    *,
    memory: int = runtime.DEFAULT_MEMORY,
    share_rows: bool = True,
) -> LoadedModel:
    """Load and prove the model; StepError says which check it did not pass.

    Its golden request is in `golden_file`, if that is there. `memory` is what a run may take, in bytes; loading may
    take as much, and what the size of the file explains. Unless `share_rows`, every request runs alone, whatever could
    be proved.
    """
    content = _read(path)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if expected_digest is not None and digest != expected_digest:
        raise StepError("DigestMismatch", f"{path} holds {digest}, but {expected_digest} is asked for")
    parsed = _graph(content)
    if parsed is not None:
        taken.check(parsed)
    most = memory + _LOADED_BYTES * len(content)
    try:
        with process_memory.at_most(most):
            session = runtime.open_session(content, memory)
            declared = LoadedModel(digest, runtime.signature_of(session), session, _UNKNOWN)
            return _proven(declared, parsed, golden_file, share_rows=share_rows)
    except MemoryError as error:
        raise StepError(
            "ModelMemory",
            f"loading the model and answering one row takes more memory than this server has, or more than "
            f"{most >> 20} MiB; a small file may make large tensors (ConstantOfShape, Expand, Tile): export it "
            "without them, or raise the container's memory limit or --model-memory-bytes",
        ) from error


def _proven(
    declared: LoadedModel, parsed: graph.Model | None, golden_file: Path | None, *, share_rows: bool
) -> LoadedModel:
    expectation = golden.read(golden_file, declared.signature) if golden_file is not None else None
    rows: list[Tensor] | None = None
    if expectation is None:
        outputs = _warm_up(declared)
    else:
        rows = expectation.request.tensors(declared.signature)
        outputs = _check_golden(declared, expectation, rows)
    model = replace(declared, signature=_as_seen(declared.signature, outputs))
    sharing = judge(parsed, model.signature, model.run, rows, wanted=share_rows)
    if sharing.allowed:
        model = replace(model, signature=_by_row(model.signature))
    model = replace(model, sharing=sharing)
    pace = Pace() if outputs is None else _pace(model, rows)
    pace.steady = parsed is not None and _is_steady(parsed, model.signature)
    model.session.give_back()  # trying many rows takes more than most requests will
    return replace(model, pace=pace)


def _graph(content: bytes) -> graph.Model | None:
    """The model's graph; None if it is too large, or too odd, to be followed."""
    try:
        return graph.read(content)
    except WireError:
        return None


def _pace(model: LoadedModel, known: list[Tensor] | None) -> Pace:
    sample = known or [neutral(spec) for spec in model.signature.inputs]
    try:
        return measure(model.run, sample, most_rows=model.sharing.most_rows)
    except runtime.RunFailed:  # one row works, but many at once take too much memory
        return Pace(base=1.0)


def _is_steady(parsed: graph.Model, signature: Signature) -> bool:
    try:
        return is_steady(parsed, signature)
    except WireError:
        return False


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise StepError("UnsupportedModel", f"the model {path} is larger than 2 GiB")
        return path.read_bytes()
    except OSError as error:
        raise StepError("ModelMissing", f"the model {path} cannot be read: {error.strerror}") from error
    except MemoryError as error:
        raise StepError("ModelMemory", f"the model {path} is larger than this server's memory") from error


def _warm_up(model: LoadedModel) -> list[Tensor] | None:
    """One run with a neutral row: a model that cannot do even this must not get traffic.

    A model that knows its categories may rightly refuse made-up ones. It has run far enough to see them, so it
    works; only its answer stays unknown.
    """
    inputs = [neutral(spec) for spec in model.signature.inputs]
    try:
        return model.run(inputs)
    except MemoryError:
        raise
    except runtime.RunFailed as error:
        if runtime.misses_category(error):
            return None
        raise StepError(
            "WarmupFailed",
            f"the model loads, but fails on a row of zeros and empty strings: {runtime.said(error)}. "
            f"If it only takes certain values, put a {golden.FILE_NAME} with a request that it answers beside it",
        ) from error


def _check_golden(model: LoadedModel, expectation: golden.Golden, rows: list[Tensor]) -> list[Tensor]:
    """The stronger warm-up: real rows, and the answers that belong to them."""
    try:
        outputs = model.run(expectation.request.tensors(model.signature))
    except MemoryError:
        raise
    except runtime.RunFailed as error:
        raise StepError(
            "GoldenMismatch", f"the model fails on the golden request: {runtime.said(error)}"
        ) from error
    golden.check(expectation, model.signature, outputs)
    return outputs


def _as_seen(signature: Signature, outputs: list[Tensor] | None) -> Signature:
    """The signature with the shapes that the model really answers with: converters declare some of them wrongly."""
    if outputs is None:
        return signature
    rows = all(spec.shape[:1] == (-1,) for spec in signature.inputs)
    seen = (_seen(spec, output, rows) for spec, output in zip(signature.outputs, outputs, strict=True))
    return replace(signature, outputs=tuple(seen))


def _seen(spec: TensorSpec, output: Tensor, rows: bool) -> TensorSpec:
    if output.dtype != spec.dtype:
        raise StepError(
            "WarmupFailed", f"output {spec.name!r} is declared {spec.datatype}, but is {output.dtype}"
        )
    if spec.admits(output.shape):
        return spec
    shape: tuple[int, ...] = output.shape
    if len(shape) == len(spec.shape):
        shape = tuple(want if want in {-1, got} else got for want, got in zip(spec.shape, shape, strict=True))
    elif shape and rows:
        shape = (-1, *shape[1:])
    return replace(spec, shape=shape)


def _by_row(signature: Signature) -> Signature:
    """The signature with a row of each output for each row of the inputs: some converters declare a single one."""
    outputs = tuple(replace(spec, shape=(-1, *spec.shape[1:])) for spec in signature.outputs)
    return replace(signature, outputs=outputs)


def neutral(spec: TensorSpec) -> Tensor:
    """A row of zeros or empty strings for one input."""
    shape = [1 if size == -1 else size for size in spec.shape]
    return np.full(shape, "", dtype=np.object_) if spec.datatype == "BYTES" else np.zeros(shape, spec.dtype)
