"""Loads a model and proves it before it serves: digest, signature, warm-up, golden request.

Reading ONNX is left to `runtime`, comparing with the golden request to `golden`, serving to everything else.
"""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from modelwright_serving import golden, graph, runtime
from modelwright_serving.failures import StepError
from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.pace import Pace, measure
from modelwright_serving.protobuf import WireError
from modelwright_serving.steady import is_steady

MAX_BYTES = 2 * 1024**3
_PROBE_ROWS = 3


@dataclass(frozen=True)
class LoadedModel:
    """A model that has passed every check; `joins_rows` says whether requests may share a run."""

    digest: str
    signature: Signature
    session: runtime.Session
    joins_rows: bool
    pace: Pace = field(default_factory=Pace)

    def run(self, inputs: list[Tensor], stop: runtime.Stop | None = None) -> list[Tensor]:
        return runtime.run(self.session, self.signature, inputs, stop)


def load(path: Path, expected_digest: str | None) -> LoadedModel:
    """Load and prove the model; StepError says which check it did not pass."""
    content = _read(path)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if expected_digest is not None and digest != expected_digest:
        raise StepError("DigestMismatch", f"{path} holds {digest}, but {expected_digest} is asked for")
    session = runtime.open_session(content)
    declared = LoadedModel(digest, runtime.signature_of(session), session, joins_rows=False)
    expectation = golden.read(path, declared.signature)
    rows: list[Tensor] | None = None
    if expectation is None:
        outputs = _warm_up(declared)
    else:
        rows = expectation.request.tensors(declared.signature)
        outputs = _check_golden(declared, expectation, rows)
    model = replace(declared, signature=_as_seen(declared.signature, outputs))
    model = replace(model, joins_rows=_rows_are_independent(model, rows))
    pace = Pace() if outputs is None else _pace(model, rows)
    pace.steady = _is_steady(content, model.signature)
    return replace(model, pace=pace)


def _pace(model: LoadedModel, known: list[Tensor] | None) -> Pace:
    sample = known or [_neutral(spec) for spec in model.signature.inputs]
    return measure(model.run, sample, joins_rows=model.joins_rows)


def _is_steady(content: bytes, signature: Signature) -> bool:
    try:
        return is_steady(graph.read(content), signature)
    except WireError:
        return False


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StepError("ModelMissing", f"the model {path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise StepError("UnsupportedModel", f"the model {path} is larger than 2 GiB")
    return content


def _warm_up(model: LoadedModel) -> list[Tensor] | None:
    """One run with a neutral row: a model that cannot do even this must not get traffic.

    A model that knows its categories may rightly refuse made-up ones. It has run far enough to see them, so it
    works; only its answer stays unknown.
    """
    inputs = [_neutral(spec) for spec in model.signature.inputs]
    try:
        return model.run(inputs)
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


def _rows_are_independent(model: LoadedModel, known: list[Tensor] | None) -> bool:
    """Whether rows give the same results together as alone: only then may different callers' rows share a run.

    A first dimension of any size does not prove it: a model may well normalise over its batch. Rows that the
    model is known to take tell more than made-up ones, which it may refuse.
    """
    if not model.signature.has_row_dimension:
        return False
    rows = _several(known) or [_varied(spec) for spec in model.signature.inputs]
    try:
        together = model.run(rows)
        alone = [model.run([tensor[row : row + 1] for tensor in rows]) for row in range(len(rows[0]))]
    except runtime.RunFailed:
        return False
    return all(_same(whole, [part[position] for part in alone]) for position, whole in enumerate(together))


def _several(known: list[Tensor] | None) -> list[Tensor] | None:
    """The first of the known rows, if there are enough of them to influence each other."""
    if known is None or any(len(tensor) < _PROBE_ROWS for tensor in known):
        return None
    return [tensor[:_PROBE_ROWS] for tensor in known]


def _same(together: Tensor, alone: list[Tensor]) -> bool:
    if any(part.shape[:1] != (1,) for part in alone) or together.shape[:1] != (_PROBE_ROWS,):
        return False
    stacked = np.concatenate(alone)
    if stacked.shape != together.shape:
        return False
    if np.issubdtype(together.dtype, np.floating):
        return bool(np.allclose(stacked, together, rtol=1e-4, atol=1e-5, equal_nan=True))
    return bool(np.all(stacked == together))


def _neutral(spec: TensorSpec) -> Tensor:
    shape = [1 if size == -1 else size for size in spec.shape]
    return np.full(shape, "", dtype=np.object_) if spec.datatype == "BYTES" else np.zeros(shape, spec.dtype)


def _varied(spec: TensorSpec) -> Tensor:
    """A few different rows; the same ones at every start, so that the verdict never changes."""
    shape = [_PROBE_ROWS, *(1 if size == -1 else size for size in spec.shape[1:])]
    numbers = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape) * 7 % 5
    if spec.datatype == "BYTES":
        return np.array(["", "a", "b", "c", "d"], dtype=np.object_)[numbers]
    return numbers.astype(spec.dtype)
