"""What holds for all tests: the order in which files begin where several processes share them
(`--dist=loadfile --no-loadscope-reorder`), and how hypothesis chooses its examples."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from cluster.paths import CACHE
from hypothesis import settings

# StringNormalizer of ONNX needs the locale en_US.UTF-8, which this machine may lack. The images have it in this way.
LOCALES = CACHE / "locales"
LOCALES.mkdir(parents=True, exist_ok=True)
with suppress(FileExistsError):
    (LOCALES / "en_US.utf8").symlink_to("/usr/lib/locale/C.utf8")
os.environ["LOCPATH"] = str(LOCALES)

# A busy machine is no fault of a test. The same examples each time: what fails, fails again, here and elsewhere.
# `--hypothesis-profile=explore` tries others.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("steady")

# Files of cluster tests that take longest: they begin first, so that none is left over at the end.
LONGEST = (
    "test_bad_input",
    "test_stores_kinds",
    "test_stores_broken",
    "test_stores_refused",
    "test_stores",
    "test_retraining",
    "test_monitoring",
    "test_pods",
    "test_scaling",
    "test_loop",
    "test_path",
    "test_devices",
    "test_gateway",
    "test_canary_failures",
    "test_refused_children",
    "test_cli",
    "test_canary_ends",
    "test_stable_lost",
    "test_adoption",
    "test_engine_operator",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """While one process has the cluster alone, the others run the tests that need none; then all share the cluster."""
    marks: dict[Path, set[str]] = {}
    for item in items:
        marks.setdefault(item.path, set()).update(mark.name for mark in item.iter_markers())
    items.sort(key=lambda item: _place(item.path, marks[item.path]))


def _place(path: Path, marks: set[str]) -> tuple[int, int]:
    """Where a file stands: lower begins earlier."""
    if "alone" in marks:
        return 0, 0
    if "cluster" not in marks:
        return 1, 0
    return 2, LONGEST.index(path.stem) if path.stem in LONGEST else len(LONGEST)
