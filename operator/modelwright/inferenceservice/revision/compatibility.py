"""Whether callers of one ModelVersion can use another one: compares inputs, outputs and classes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelwright.api.base import Signature, Tensor

VARIABLE = -1


def incompatibility(before: Signature | None, after: Signature | None) -> str | None:
    """Why a caller of the version `before` cannot use `after`, as a clause for messages; None if it can."""
    if before is None or after is None:
        return "the signature of one of them is not known"
    if before.truncated or after.truncated:
        return "one of them is too wide for its signature to be kept whole"
    return next(_problems(before, after), None)


def _problems(before: Signature, after: Signature) -> Iterator[str]:
    yield from _inputs(before.inputs, after.inputs)
    yield from _outputs(before.outputs, after.outputs)
    if _texts(before.classes) != _texts(after.classes):
        yield f"its classes are {_listed(after.classes)}, not {_listed(before.classes)}"
    if before.features is not None and after.features is not None and before.features != after.features:
        yield f"its columns are {_listed(after.features)}, not {_listed(before.features)}"


def _inputs(before: Sequence[Tensor], after: Sequence[Tensor]) -> Iterator[str]:
    given, required = {tensor.name: tensor for tensor in before}, {tensor.name: tensor for tensor in after}
    for name in sorted(required.keys() - given.keys()):
        yield f"it asks for the input {name}"
    for name in sorted(given.keys() - required.keys()):
        yield f"it does not take the input {name}"
    for name in sorted(required):
        if not _fits(given[name], required[name]):
            yield f"it takes the input {name} as {_tensor(required[name])}, not as {_tensor(given[name])}"
        elif required[name].format not in (None, given[name].format):
            yield f"it takes the input {name} as dates written {required[name].format}, not {_written(given[name])}"


def _outputs(before: Sequence[Tensor], after: Sequence[Tensor]) -> Iterator[str]:
    given = {tensor.name: tensor for tensor in after}
    for tensor in before:
        if tensor.name not in given:
            yield f"it does not give the output {tensor.name}"
        elif not _fits(given[tensor.name], tensor):
            yield f"it gives the output {tensor.name} as {_tensor(given[tensor.name])}, not as {_tensor(tensor)}"


def _fits(given: Tensor, expected: Tensor) -> bool:
    """True if a tensor `given` can be used where one is expected; a variable dimension accepts any size."""
    return (
        given.datatype == expected.datatype
        and len(given.shape) == len(expected.shape)
        and all(b in (VARIABLE, a) for a, b in zip(given.shape, expected.shape, strict=True))
    )


def _written(tensor: Tensor) -> str:
    return tensor.format or "as any text"


def _tensor(tensor: Tensor) -> str:
    return f"{tensor.datatype}{list(tensor.shape)}"


def _texts(values: Sequence[object] | None) -> frozenset[str]:
    return frozenset(map(str, values or ()))


def _listed(values: Sequence[object] | None) -> str:
    texts = [str(value) for value in values or ()]
    return (
        ", ".join(texts[:8]) + (f" and {len(texts) - 8} more" if len(texts) > 8 else "") if texts else "none"
    )
