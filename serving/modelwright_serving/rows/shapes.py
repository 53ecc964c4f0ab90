"""What is known of a tensor on its way through a graph: where its rows lie, and its shape as far as it is known."""

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple, TypeAlias


class _Rows(Enum):
    """The size that is the number of rows."""

    N = "rows"


N: Final = _Rows.N
Size: TypeAlias = int | _Rows | None  # None: not known
Shape: TypeAlias = tuple[Size, ...]


COUNTING = "calculates with the number of rows"


class MixedError(Exception):
    """Rows are not known to stay apart; says why, without the operator's name."""


class Tensor(NamedTuple):
    """What is known of a tensor.

    `axis` is where the rows lie, None if all rows have the same; a row may take several entries in succession there.
    `data` are the elements of a small tensor of whole numbers, which may be sizes.
    """

    shape: Shape | None
    axis: int | None = None
    data: Shape | None = None

    @property
    def counts(self) -> bool:
        """Whether the tensor holds the number of rows, which is for shapes only."""
        return self.data is not None and N in self.data


def shape_of(value: Tensor) -> Shape:
    """The shape; its sizes may not be known."""
    if value.shape is None:
        raise MixedError("works on a tensor of unknown shape")
    return value.shape


def plain(value: Tensor) -> Tensor:
    """The tensor with other elements."""
    _no_count(value)
    return Tensor(value.shape, value.axis)


def _no_count(value: Tensor) -> None:
    if value.counts:
        raise MixedError(COUNTING)


def axis_of(axis: int, rank: int) -> int:
    """An axis that may be counted from the last one, counted from the first."""
    if not -rank <= axis < rank:
        raise MixedError("names an axis that is not there")
    return axis % rank


def axes_of(axes: Sequence[int], rank: int) -> list[int]:
    """The same for several."""
    return [axis_of(axis, rank) for axis in axes]


def without_axis(value: Tensor, axis: int) -> Tensor:
    """The tensor without an axis that is not the rows'."""
    _no_count(value)
    shape = shape_of(value)
    moved = value.axis if value.axis is None or value.axis < axis else value.axis - 1
    return Tensor(shape[:axis] + shape[axis + 1 :], moved)


def with_axis(value: Tensor, axis: int, size: Size = None) -> Tensor:
    """The tensor with one more axis."""
    _no_count(value)
    shape = shape_of(value)
    moved = value.axis if value.axis is None or value.axis < axis else value.axis + 1
    return Tensor((*shape[:axis], size, *shape[axis:]), moved)


def sized(value: Tensor, axis: int, size: Size = None) -> Tensor:
    """The tensor with another size of an axis that is not the rows'."""
    _no_count(value)
    if axis == value.axis:
        raise MixedError("works across rows")
    if value.shape is None:
        return Tensor(None)
    return Tensor((*value.shape[:axis], size, *value.shape[axis + 1 :]), value.axis)


def broadcast(values: Sequence[Tensor]) -> Tensor:
    """Element by element, aligned at the last axis: the rows of all have to meet their own."""
    for value in values:
        _no_count(value)
    distances = {len(shape_of(value)) - value.axis for value in values if value.axis is not None}
    if not distances:
        shapes = [value.shape for value in values if value.shape is not None]
        return Tensor(_widest(shapes) if len(shapes) == len(values) else None)
    if len(distances) > 1:
        raise MixedError("brings rows together with other rows")
    distance = distances.pop()
    for value in values:
        shape = shape_of(value)
        if value.axis is None and len(shape) >= distance and shape[-distance] != 1:
            raise MixedError("treats rows by their position")
    widest = _widest([shape_of(value) for value in values])
    return Tensor(widest, len(widest) - distance)


def _widest(shapes: list[Shape]) -> Shape:
    rank = max(map(len, shapes), default=0)
    filled: list[Shape] = [(*(1,) * (rank - len(shape)), *shape) for shape in shapes]
    columns = zip(*filled, strict=True)
    return tuple(_wider(column) for column in columns)


def _wider(sizes: tuple[Size, ...]) -> Size:
    others = {size for size in sizes if size != 1}
    if not others:
        return 1
    return others.pop() if len(others) == 1 else next((size for size in others if size is not None), None)


def known_sizes(shape: Shape) -> list[int]:
    """The sizes, 0 for those that are not known."""
    return [size if isinstance(size, int) else 0 for size in shape]


def certain(sizes: Shape) -> bool:
    """Whether all sizes are known numbers."""
    return all(isinstance(size, int) and size > 0 for size in sizes)
