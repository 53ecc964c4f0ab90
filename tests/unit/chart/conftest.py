"""Finds Helm, or says how to get it."""

import shutil
from pathlib import Path

import pytest
from unit.chart.rendering import Chart, Rendered

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def chart() -> Chart:
    """The chart of this source tree."""
    built = ROOT / ".cluster" / "bin" / "helm"
    helm = str(built) if built.exists() else shutil.which("helm")
    if helm is None:
        pytest.skip("Helm is neither in .cluster/bin nor in PATH: `make cluster` builds it")
    return Chart(helm, ROOT / "charts" / "modelwright", ROOT)


@pytest.fixture(scope="session")
def default(chart: Chart) -> Rendered:
    """What is installed where nobody sets a value."""
    return chart.render()
