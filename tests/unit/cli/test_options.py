"""The command line: every command parses, and what cannot mean anything ends with code 2 and a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from modelwright.api.requests import Action
from modelwright.cli.options import (
    ABOUT,
    Ask,
    Card,
    Command,
    Models,
    Place,
    Put,
    Reproduce,
    RunNow,
    Show,
    Try,
    parse,
)


def parsed(line: str) -> Command:
    return parse("modelwright", line.split())


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("rollout status churn", Show(Place("churn"))),
        (
            "rollout status churn -n shop --watch -o json --timeout 5m",
            Show(Place("churn", "shop"), watch=True, output="json", timeout=300),
        ),
        ("rollout promote churn", Ask(Place("churn"), "promote")),
        ("rollout promote churn --full", Ask(Place("churn"), "promote-full")),
        ("rollout abort mwisvc/churn --no-wait", Ask(Place("churn"), "abort", wait=False)),
        ("rollout undo churn --timeout 1.5s", Ask(Place("churn"), "undo", timeout=1.5)),
        ("rollout retry churn --revision abc", Ask(Place("churn"), "retry", revision="abc")),
        (
            "data put rows.csv pvc://lake/2026/rows.csv -n shop",
            Put(Place("lake", "shop"), Path("rows.csv"), "2026/rows.csv"),
        ),
        ("try a.yaml b.yaml --data d", Try((Path("a.yaml"), Path("b.yaml")), data=Path("d"))),
        ("models", Models(Place(""))),
        ("models churn -n shop -o yaml", Models(Place("churn", "shop"), "churn", output="yaml")),
        ("models churn --compare mv/a b c", Models(Place("churn"), "churn", ("a", "b", "c"))),
        ("card modelversion/churn-3", Card(Place("churn-3"))),
        ("card churn-3 --html", Card(Place("churn-3"), "html")),
        ("card churn-3 --bom", Card(Place("churn-3"), "bom")),
        ("run churn", RunNow(Place("churn"))),
        ("run tj/churn --wait", RunNow(Place("churn"), "Ended", None)),
        ("run churn --wait --timeout 5m", RunNow(Place("churn"), "Ended", 300)),
        ("run churn --no-wait", RunNow(Place("churn"), "Written")),
        ("reproduce churn-3 -n shop", Reproduce(Place("churn-3", "shop"))),
        (
            "rollout pause churn --context c --kubeconfig /k",
            Ask(Place("churn", context="c", kubeconfig=Path("/k")), "pause"),
        ),
    ],
)
def test_a_command_is_what_it_says(line: str, command: Command) -> None:
    assert parsed(line) == command


def test_every_action_of_the_annotation_has_its_command() -> None:
    assert set(get_args(Action)) == {*ABOUT, "promote-full"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "required: GROUP"),
        ("data put rows.csv s3://lake/rows.csv", "pvc://CLAIM/PATH"),
        ("data put rows.csv pvc://lake/../rows.csv", "pvc://CLAIM/PATH"),
        ("try", "required: FILE"),
        ("card", "required: NAME"),
        ("card churn-3 --html --bom", "not allowed with"),
        ("run mwisvc/churn", "'mwisvc' is no TrainingJob"),
        ("run churn --wait --no-wait", "not allowed with"),
        ("card mwisvc/churn", "'mwisvc' is no ModelVersion"),
        ("models Churn_1", "'Churn_1' cannot be a family"),
        ("models churn --compare", "expected at least one argument"),
        ("rollout", "required: COMMAND"),
        ("rollout status", "required: NAME"),
        ("rollout dance churn", "invalid choice: 'dance'"),
        ("rollout status Churn_1", "'Churn_1' cannot be a name"),
        ("rollout status " + "a" * 254, "cannot be a name"),
        ("rollout status deployment/churn", "'deployment' is no InferenceService"),
        ("rollout status churn -n No", "'No' cannot be a namespace"),
        ("rollout status churn -o yaml", "invalid choice: 'yaml'"),
        ("rollout status churn --timeout 0", "'0' is no time"),
        ("rollout status churn --timeout 8000h", "at most a week"),
        ("rollout status churn --timeout soon", "'soon' is no time"),
        ("rollout abort churn --revision Ä", "cannot be a revision"),
        ("rollout abort churn --full", "unrecognized arguments: --full"),
    ],
)
def test_what_cannot_mean_anything_is_refused(
    line: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(line)
    assert ended.value.code == 2
    assert why in capsys.readouterr().err
