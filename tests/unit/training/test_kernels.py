"""The kernels of linear algebra are the same on all machines that have them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modelwright_training import kernels


@pytest.mark.parametrize(
    ("cpu", "given", "expected"),
    [
        ("flags\t\t: sse2 avx2 fma avx512f\n", {}, {"OPENBLAS_CORETYPE": "Haswell"}),
        ("flags\t\t: sse2 avx2 fma\n", {"OPENBLAS_CORETYPE": "Zen"}, {"OPENBLAS_CORETYPE": "Zen"}),
        ("flags\t\t: sse2 avx\n", {}, {}),
        ("Features\t: fp asimd\n", {}, {}),
        (None, {}, {}),
    ],
)
def test_kernels_are_chosen_where_the_cpu_can_run_them(
    tmp_path: Path, cpu: str | None, given: dict[str, str], expected: dict[str, str]
) -> None:
    described = tmp_path / "cpuinfo"
    if cpu is not None:
        described.write_text(cpu)
    kernels.choose(given, described)
    assert given == expected


@pytest.mark.skipif(not {"avx2", "fma"} <= set(kernels.CPU.read_text().split()), reason="an older CPU")
def test_the_command_chooses_before_numpy_is_loaded() -> None:
    code = (
        "import sys, json, contextlib\n"
        "from modelwright_training.main import main\n"
        "with contextlib.suppress(SystemExit): main(['verify'])\n"
        "from threadpoolctl import threadpool_info\n"
        "print(json.dumps([one['architecture'] for one in threadpool_info() if one['user_api'] == 'blas']))\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(json.loads(printed.splitlines()[-1])) == {"Haswell"}
