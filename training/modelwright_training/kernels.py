"""Chooses the kernels of linear algebra, before it is loaded, so that a model's bytes do not depend on the machine.

OpenBLAS takes the newest that a CPU has, and each adds up in another order: an optimiser amplifies the last bit of a
sum. Those for AVX2 and FMA run on every x86 server since 2013."""

from collections.abc import MutableMapping
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"
KERNELS = "Haswell"
NEEDED = {"avx2", "fma"}
CPU = Path("/proc/cpuinfo")


def choose(environ: MutableMapping[str, str], cpu: Path = CPU) -> None:
    """Set the variable that OpenBLAS reads, unless it is set or the CPU lacks what these kernels need."""
    try:
        described = cpu.read_text()
    except OSError:
        return
    flags = next((line.split() for line in described.splitlines() if line.startswith("flags")), [])
    if set(flags) >= NEEDED:
        environ.setdefault(VARIABLE, KERNELS)
