"""What docs/serving.md says of the server is what the server has."""

import re
import subprocess
import sys
from pathlib import Path

from modelwright_serving.feedback.feedback import Feedback
from modelwright_serving.metrics import Metrics

TEXT = (Path(__file__).parents[3] / "docs" / "serving.md").read_text()


def test_every_metric_is_explained_and_none_is_made_up() -> None:
    metrics = Metrics("m", "1")
    metrics.digest, metrics.load_seconds = "sha256:0", 0.1
    metrics.feedback = Feedback(wanted=True, max_age_seconds=1)
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in metrics.collect()
    }
    assert set(re.findall(r"^\| `(modelwright_\w+)`", TEXT, re.MULTILINE)) == names


def test_every_option_is_explained_and_none_is_made_up() -> None:
    options = {option for command in ((), ("check",)) for option in options_of(*command)}
    assert set(re.findall(r"--[a-z]+[a-z-]*", TEXT)) == options


def options_of(*command: str) -> list[str]:
    called = [sys.executable, "-m", "modelwright_serving.main", *command, "--help"]
    said = subprocess.run(called, capture_output=True, text=True, check=True)
    return re.findall(r"^\s+(--[a-z-]+)", said.stdout, re.MULTILINE)
