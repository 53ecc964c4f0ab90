"""docs/operations.md is complete: each alert has its section, each drill its tests, and its commands parse."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from modelwright.cli.options import Put, Try, parse

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/operations.md").read_text()
MONITORING = (ROOT / "docs/monitoring.md").read_text()
ALERTS = (ROOT / "charts/modelwright/templates/prometheusrule.yaml").read_text()
COMMANDS = re.findall(r"^ *(?:\$ )?modelwright (.*)$", PAGE, re.MULTILINE) + re.findall(
    r"`modelwright ([a-z][^`]* churn[^`]*)`", PAGE
)


def section(heading: str) -> str:
    """What stands below a heading of the second level."""
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_each_alert_has_a_section_and_no_other() -> None:
    of_the_operator = set(re.findall(r"alert: (Modelwright\w+)", ALERTS))
    of_services = {name for name in re.findall(r"`(Modelwright\w+)`", MONITORING) if name.endswith("Burns")}
    sections = re.findall(r"^### (\w+)$", section("Alerts"), re.MULTILINE)
    assert len(sections) == len(set(sections))
    assert set(sections) == of_the_operator | of_services


@pytest.mark.parametrize("alert", re.split(r"^### ", section("Alerts"), flags=re.MULTILINE)[1:])
def test_each_section_says_what_to_do(alert: str) -> None:
    assert "`" in alert, "there is nothing to type or to look for"


def test_each_drill_names_tests_that_are_there() -> None:
    rows = re.findall(r"^\| (.*) \|$", section("Drills"), re.MULTILINE)[1:]
    assert len(rows) >= 9
    for row in rows:
        paths = re.findall(r"`(tests/[\w/]+\.py)`", row)
        assert paths, row
        assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_parses(line: str) -> None:
    command = parse("modelwright", shlex.split(line, comments=True))
    assert not isinstance(command, Put | Try)
    assert command.place.name.startswith("churn")


def test_commands_were_found() -> None:
    assert len(COMMANDS) >= 8
