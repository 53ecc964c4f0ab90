"""How rows lie in memory before a run: kernels round by the number of rows, and by where a row begins."""

import numpy as np

from modelwright_serving.oip.tensors import Tensor

# Of a cache line: no instruction loads more at once.
_BYTES = 64


def filled(rows: list[Tensor], missing: int) -> list[Tensor]:
    """The rows, and so many copies of the last one."""
    where = np.arange(len(rows[0]) + missing)
    return [tensor.take(where, axis=0, mode="clip") for tensor in rows]


def aligned(tensors: list[Tensor]) -> list[Tensor]:
    """The same tensors, each beginning where a cache line does."""
    return [_aligned(tensor) for tensor in tensors]


def _aligned(tensor: Tensor) -> Tensor:
    if tensor.dtype.hasobject:
        return tensor
    memory = np.empty(tensor.nbytes + _BYTES, np.uint8)
    found: Tensor = np.ndarray(tensor.shape, tensor.dtype, memory, -memory.ctypes.data % _BYTES)
    found[...] = tensor
    return found
