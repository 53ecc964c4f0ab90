"""What docs/cli.md teaches is true: its commands parse, its tables are complete, its picture is what is drawn."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from unit.cli.given import a_canary, measures, seen
from unit.given.resources import InferenceService
from unit.inferenceservice.rollout.test_canary import after
from unit.view.versions import a_version, earlier

from modelwright.cli.errors import Exit
from modelwright.cli.options import ABOUT, EXITS, Put, Try, parse
from modelwright.cli.refusals import ROLES
from modelwright.common.resources import CLAIMS
from modelwright.view import reproduction
from modelwright.view.drawing import picture
from modelwright.view.families import comparison, lines
from modelwright.view.model import Metric

DOCS = Path(__file__).parents[3] / "docs"
NOW = datetime(2026, 1, 2, 9, tzinfo=UTC)
PAGE = (DOCS / "cli.md").read_text()
SINGLE = ("try", "run", "models", "card", "approve", "reject", "reproduce")
LINES = [
    line
    for page in (PAGE, (DOCS / "rollouts.md").read_text(), (DOCS / "training.md").read_text())
    for line in re.findall(r"^\$ (?:kubectl )?modelwright (.*)$", page, re.MULTILINE)
]


def table(section: str) -> list[list[str]]:
    """The cells of the rows of a table, without its head."""
    rows = re.findall(r"^\| (.*) \|$", PAGE.split(section)[1].split("\n\n")[0], re.MULTILINE)
    return [row.split(" | ") for row in rows]


def words(cells: list[str]) -> set[str]:
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("line", LINES)
def test_a_command_parses(line: str) -> None:
    written, _, _ = line.partition(" > ")
    command = parse("modelwright", shlex.split(written, comments=True))
    assert isinstance(command, Put | Try) or command.place.name.startswith("churn")


def test_commands_were_found() -> None:
    assert len(LINES) >= 8


def test_every_command_is_explained_and_no_other() -> None:
    written = words([row[0] for row in table("| command | what it does |\n|---|---|\n")])
    assert written == {"data put", *SINGLE}
    written = words([row[0] for row in table("| `rollout` | what it does |\n|---|---|\n")])
    assert written == {"status", *ABOUT}


def test_every_option_is_explained_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    for words_ in (
        ["rollout", "status"],
        ["rollout", "promote"],
        ["rollout", "abort"],
        ["data", "put"],
        *([name] for name in SINGLE),
    ):
        with pytest.raises(SystemExit):
            parse("modelwright", [*words_, "--help"])
    helped = "\n".join(re.findall(r"^  (-.*)$", capsys.readouterr().out, re.MULTILINE))
    said = set(re.findall(r"(?:^|, )(--?[a-z][a-z-]*)", helped, re.MULTILINE))
    written = words([row[0] for row in table("| option | of | meaning |\n|---|---|---|\n")])
    assert written == said - {"-h", "--help"}


def test_the_exit_codes_are_those_of_the_program() -> None:
    written = {int(row[0]) for row in table("| code | meaning |\n|---|---|\n")}
    assert written == {code.value for code in Exit}
    assert written == {int(code) for code in re.findall(r"^  (\d+) ", EXITS, re.MULTILINE)}


def test_the_permissions_are_those_that_a_refusal_names() -> None:
    role = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    granted = {
        f"{resource}.{group}".rstrip("."): ",".join(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert granted == {resource: verbs for resource, (_, verbs) in ROLES.items()}


METRICS = {
    "churn-1": (Metric(name="accuracy", value=0.912), Metric(name="roc_auc", value=0.958)),
    "churn-2": (Metric(name="accuracy", value=0.921), Metric(name="roc_auc", value=0.963)),
}


def test_the_picture_is_what_is_drawn() -> None:
    steps = [
        {"weight": 10, "mirror": 20, "holdSeconds": 60},
        {"weight": 50, "mirror": 20, "holdSeconds": 120},
    ]
    analysis = {"maxP50Increase": 0.5, "minAgreement": 0.95}
    service = a_canary(steps=steps, analysis=analysis)
    service.world.make(CLAIMS, "modelwright-artifacts", {"accessModes": ["ReadWriteMany"]})
    service = after(measured(service, 1000, labelled=400), 61).has_ready(2).settles()
    service = after(measured(service, 160, labelled=31), 20)
    shown = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)[0]
    assert shown == "\n".join(picture(seen(service), service.world.now, METRICS))


SHOWN = {
    "$ modelwright models churn\n": lambda: lines({"churn": [a_version(), earlier()]}, NOW),
    "$ modelwright models churn --compare churn-3 churn-2\n": lambda: comparison([a_version(), earlier()]),
    "$ modelwright reproduce churn-3\n": lambda: reproduction.lines(a_version()),
}


@pytest.mark.parametrize("command", SHOWN)
def test_what_a_command_prints_is_what_is_shown(command: str) -> None:
    _, found = PAGE.split(f"```console\n{command}")
    assert found.split("\n```")[0] == "\n".join(SHOWN[command]())


def measured(service: InferenceService, requests: int, labelled: int) -> InferenceService:
    """Counts of a canary that is a little slower than the stable revision, and agrees with it in nearly all labels."""
    cells = {(0.01 * 1.05**n, 0.01 * 1.05 ** (n + 1)): (requests - labelled) / 10 for n in range(10)}
    slower = {(lower * 1.1, upper * 1.1): count for (lower, upper), count in cells.items()}
    return measures(
        service,
        {"Answered": requests - labelled},
        shadowed={"Compared": labelled},
        labelled=labelled,
        agreement=labelled - 0.5,
        stable_durations={cell: 4 * count for cell, count in cells.items()},
        canary_durations=slower,
    )
