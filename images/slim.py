"""Removes from installed packages what no program of ours reads at run time."""

import shutil
from pathlib import Path

FOLDERS = frozenset({"tests", "test", "__pycache__"})
# Headers, tools that prepare models, Arrow's own network protocol, other engines' versions of XGBoost: nothing of ours
# uses them.
PATTERNS = (
    "numpy/_core/include",
    "onnx/backend/test",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "pyarrow/include",
    "pyarrow/src",
    "pyarrow/lib*flight*",
    "pyarrow/*_flight*",
    "xgboost/dask",
    "xgboost/spark",
    "xgboost/testing",
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
