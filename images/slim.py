"""Removes from installed packages what no program of ours reads at run time."""

import shutil
from pathlib import Path

FOLDERS = frozenset({"tests", "test", "__pycache__"})
# Headers to compile against, and Arrow's transports and plan formats, which nothing of ours speaks.
PATTERNS = (
    "numpy/_core/include",
    "numpy/f2py",
    "onnx/backend/test",
    "pyarrow/include",
    "pyarrow/src",
    "pyarrow/lib*flight*",
    "pyarrow/*_flight*",
    "pyarrow/lib*substrait*",
    "pyarrow/*_substrait*",
)
SUFFIXES = frozenset({".pyi", ".pyx", ".pxd", ".pxi", ".h", ".hpp", ".c", ".cpp"})


def strip(root: Path) -> None:
    """Remove it from everything below the folder."""
    for pattern in PATTERNS:
        for path in root.glob(pattern):
            _remove(path)
    for path in sorted(root.rglob("*")):
        if path.name in FOLDERS or (path.suffix in SUFFIXES and path.is_file()):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
