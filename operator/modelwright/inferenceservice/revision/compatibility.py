"""Whether callers of one version would be understood by another: inputs, outputs and classes side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelwright.api.base import Signature, Tensor

VARIABLE = -1


def incompatibility(before: Signature | None, after: Signature | None) -> str | None:
    """Why what is sent to one version cannot be sent to the other, or its answers not be read; None if it can."""
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
    known, wanted = {tensor.name: tensor for tensor in before}, {tensor.name: tensor for tensor in after}
    for name in sorted(wanted.keys() - known.keys()):
        yield f"it asks for the input {name}"
    for name in sorted(known.keys() - wanted.keys()):
        yield f"it does not take the input {name}"
    for name in sorted(wanted):
        if not _fits(known[name], wanted[name]):
            yield f"it takes the input {name} as {_told(wanted[name])}, not as {_told(known[name])}"


def _outputs(before: Sequence[Tensor], after: Sequence[Tensor]) -> Iterator[str]:
    given = {tensor.name: tensor for tensor in after}
    for tensor in before:
        if tensor.name not in given:
            yield f"it does not give the output {tensor.name}"
        elif not _fits(given[tensor.name], tensor):
            yield f"it gives the output {tensor.name} as {_told(given[tensor.name])}, not as {_told(tensor)}"


def _fits(given: Tensor, wanted: Tensor) -> bool:
    """Whether one tensor can be taken where the other is expected: a variable dimension takes any."""
    return (
        given.datatype == wanted.datatype
        and len(given.shape) == len(wanted.shape)
        and all(b in (VARIABLE, a) for a, b in zip(given.shape, wanted.shape, strict=True))
    )


def _told(tensor: Tensor) -> str:
    return f"{tensor.datatype}{list(tensor.shape)}"


def _texts(values: Sequence[object] | None) -> frozenset[str]:
    return frozenset(map(str, values or ()))


def _listed(values: Sequence[object] | None) -> str:
    told = [str(value) for value in values or ()]
    return ", ".join(told[:8]) + (f" and {len(told) - 8} more" if len(told) > 8 else "") if told else "none"
