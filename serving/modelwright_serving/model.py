"""Loads a model and proves it before it serves: digest, signature, warm-up, golden request.

Reading ONNX is left to `runtime`, comparing with the golden request to `golden`, serving to everything else.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelwright_serving import golden, runtime
from modelwright_serving.failures import StepError
from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.oip.tensors import Tensor

MAX_BYTES = 2 * 1024**3
_PROBE_ROWS = 3


@dataclass(frozen=True)
class LoadedModel:
    """A model that has passed every check; `joins_rows` says whether requests may share a run."""

    digest: str
    signature: Signature
    session: runtime.Session
    joins_rows: bool

    def run(self, inputs: list[Tensor]) -> list[Tensor]:
        return runtime.run(self.session, self.signature, inputs)


def load(path: Path, expected_digest: str | None) -> LoadedModel:
    """Load and prove the model; StepError says which check it did not pass."""
    content = _read(path)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if expected_digest is not None and digest != expected_digest:
        raise StepError("DigestMismatch", f"{path} holds {digest}, but {expected_digest} is asked for")
    session = runtime.open_session(content)
    signature = runtime.signature_of(session)
    model = LoadedModel(digest, signature, session, joins_rows=False)
    expectation = golden.read(path, signature)
    if expectation is None:
        _warm_up(model)
        rows = None
    else:
        _check_golden(model, expectation)
        rows = expectation.request.inputs
    return LoadedModel(digest, signature, session, joins_rows=_rows_are_independent(model, rows))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StepError("ModelMissing", f"the model {path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise StepError("UnsupportedModel", f"the model {path} is larger than 2 GiB")
    return content


def _warm_up(model: LoadedModel) -> None:
    """One run with a neutral row: a model that cannot do even this must not get traffic."""
    inputs = [_neutral(spec) for spec in model.signature.inputs]
    try:
        outputs = model.run(inputs)
    except runtime.RunFailed as error:
        raise StepError(
            "WarmupFailed",
            f"the model loads, but fails on a row of zeros and empty strings: {runtime.said(error)}. "
            f"If it only takes certain values, put a {golden.FILE_NAME} with a request that it answers beside it",
        ) from error
    _check_types(model, outputs)


def _check_golden(model: LoadedModel, expectation: golden.Golden) -> None:
    """The stronger warm-up: real rows, and the answers that belong to them."""
    try:
        outputs = model.run(expectation.request.inputs)
    except runtime.RunFailed as error:
        raise StepError(
            "GoldenMismatch", f"the model fails on the golden request: {runtime.said(error)}"
        ) from error
    _check_types(model, outputs)
    golden.check(expectation, model.signature, outputs)


def _check_types(model: LoadedModel, outputs: list[Tensor]) -> None:
    for spec, output in zip(model.signature.outputs, outputs, strict=True):
        if output.dtype != spec.dtype:
            raise StepError(
                "WarmupFailed", f"output {spec.name!r} is declared {spec.datatype}, but is {output.dtype}"
            )


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
