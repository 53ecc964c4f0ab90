"""The golden request beside a model: whether the loaded model still answers it as it did when it was published."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from modelwright_serving.failures import StepError
from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.request import InferRequest, decode
from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.oip.tensors import Tensor, from_json, unpack

FILE_NAME = "golden.json"
MAX_BYTES = 1024**2


@dataclass(frozen=True)
class Golden:
    """A request, the outputs expected for it, and how far numbers may be off."""

    request: InferRequest
    expected: dict[int, Tensor]
    absolute: float
    relative: float


def beside(model: Path) -> Path:
    """Where the golden request of a model is, if there is one."""
    return model.parent / FILE_NAME


def read(path: Path, signature: Signature) -> Golden | None:
    """The golden request in a file, or None when there is none."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise _unreadable("is larger than 1 MiB")
    return parse(content, signature)


def parse(content: bytes, signature: Signature) -> Golden:
    """StepError(GoldenUnreadable) unless `content` is a golden request for this model."""
    try:
        document = orjson.loads(content)
        request = decode(signature, orjson.dumps(document["request"]))
        absolute, relative = (float(document["tolerance"][key]) for key in ("absolute", "relative"))
        expected = dict(_expected(entry, signature) for entry in document["response"]["outputs"])
    except OipError as error:
        raise _unreadable(f"does not fit the model: {error.message}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable(f"is not a golden request: {type(error).__name__}: {error}") from error
    if not expected or absolute < 0 or relative < 0:
        raise _unreadable("is not a golden request: it expects no outputs, or its tolerance is negative")
    return Golden(request, expected, absolute, relative)


def check(golden: Golden, signature: Signature, outputs: list[Tensor]) -> None:
    """StepError(GoldenMismatch) unless every expected output is what the model gave."""
    for position, expected in golden.expected.items():
        problem = _difference(expected, outputs[position], golden.absolute, golden.relative)
        if problem:
            name = signature.outputs[position].name
            raise StepError(
                "GoldenMismatch",
                f"output {name!r} for the golden request: {problem}; "
                "the model or the runtime is not the one that was validated",
            )


def _expected(entry: dict[str, Any], signature: Signature) -> tuple[int, Tensor]:
    position = signature.output_positions[entry["name"]]
    spec: TensorSpec = signature.outputs[position]
    if entry["datatype"] != spec.datatype:
        raise OipError(f"output {spec.name} is {entry['datatype']} there, but {spec.datatype} in the model")
    shape = entry["shape"]
    return position, unpack(spec.dtype, from_json(entry["data"], spec.datatype, shape, prod(shape)))


def _difference(expected: Tensor, got: Tensor, absolute: float, relative: float) -> str | None:
    if expected.shape != got.shape:
        return f"shape {list(got.shape)} instead of {list(expected.shape)}"
    if np.issubdtype(expected.dtype, np.floating):
        wide, other = expected.astype(np.float64), got.astype(np.float64)
        same = np.isclose(other, wide, rtol=relative, atol=absolute, equal_nan=True)
    else:
        same = np.asarray(expected == got)
    if same.all():
        return None
    worst = int(np.argmin(same.reshape(-1)))
    return f"element {worst} is {got.reshape(-1)[worst]!r:.60}, expected {expected.reshape(-1)[worst]!r:.60}"


def _unreadable(problem: str) -> StepError:
    return StepError("GoldenUnreadable", f"{FILE_NAME} beside the model {problem}")
