"""When a champion may have learnt from rows that are held out now, and when that cannot be."""

from typing import Any

import pytest

from modelwright_training.documents import Artifact, Champion, Holdout
from modelwright_training.judging.gates.overlap import Origin, warning

DATA, OTHER, OWN = (f"sha256:{letter * 64}" for letter in "abc")
COLUMNS = ("age", "fee")
STABLE: dict[str, Any] = {"split": "Stable", "seed": 7}


def trained(data: str | None = DATA, **holdout: Any) -> Champion:
    """A champion that was trained from `data` with a hold-out of these settings."""
    artifact = Artifact(uri="pvc://models/churn/x", digest=f"sha256:{'f' * 64}")
    return Champion(name="churn-3", artifact=artifact, data=data, holdout=Holdout.model_validate(holdout))


def today(**holdout: Any) -> Origin:
    return Origin(DATA, Holdout.model_validate(holdout), COLUMNS)


@pytest.mark.parametrize(
    ("champion", "now"),
    [
        pytest.param(trained(), today(), id="the same split of the same data"),
        pytest.param(trained(extraColumns=["sex"]), today(), id="extra columns choose no rows"),
        pytest.param(trained(OTHER, **STABLE, key="id"), today(**STABLE, key="id"), id="stable by a key"),
        pytest.param(trained(OTHER, **STABLE), today(**STABLE), id="stable by all columns"),
        pytest.param(
            trained(OTHER, **STABLE, fraction=0.3),
            today(**STABLE, fraction=0.2),
            id="a part of what was held out",
        ),
        pytest.param(
            trained(OTHER, after={"column": "day", "value": "2026-09-01"}),
            today(after={"column": "day", "value": "2026-10-01"}),
            id="later than what it learnt from",
        ),
        pytest.param(
            trained(OTHER, after={"column": "day", "value": "31.8."}),
            today(after={"column": "day", "value": "31.8."}),
            id="from the same moment on",
        ),
        pytest.param(
            trained(OTHER, after={"column": "week", "value": "9"}),
            today(after={"column": "week", "value": "10"}),
            id="numbers are compared as numbers",
        ),
        pytest.param(
            trained(seed=3), Origin(DATA, Holdout(), COLUMNS, own=OWN), id="another file is held out"
        ),
    ],
)
def test_it_cannot_have(champion: Champion, now: Origin) -> None:
    assert warning(champion, COLUMNS, now) is None


@pytest.mark.parametrize(
    ("champion", "now", "words"),
    [
        (trained(OTHER), today(), "from other data"),
        (trained(seed=1), today(), "perhaps with other rows held out"),
        (trained(fraction=0.3), today(), "perhaps with other rows held out"),
        (trained(OTHER, **STABLE, fraction=0.1), today(**STABLE, fraction=0.2), "from other data"),
        (trained(OTHER, **STABLE, key="id"), today(**STABLE), "from other data"),
        (trained(OTHER, **STABLE), today(), "from other data"),
        (trained(OTHER, split="Stable", seed=1), today(**STABLE), "from other data"),
        (
            trained(OTHER, after={"column": "day", "value": "2026-10-01"}),
            today(after={"column": "day", "value": "2026-09-01"}),
            "from other data",
        ),
        (
            trained(OTHER, after={"column": "a", "value": "1"}),
            today(after={"column": "b", "value": "1"}),
            "from other",
        ),
        (
            trained(OTHER, after={"column": "a", "value": "x"}),
            today(after={"column": "a", "value": "y"}),
            "from other",
        ),
        (trained(None), today(), "not known what churn-3 was trained from"),
        (
            trained().model_copy(update={"holdout": None}),
            today(),
            "not known which rows were held out from churn-3",
        ),
        (trained(OWN), Origin(DATA, Holdout(), COLUMNS, own=OWN), "from the data that is held out now"),
        (trained(OTHER), Origin(DATA, Holdout(), COLUMNS, own=OWN), "from other data"),
        (trained(DATA), Origin(DATA, None, COLUMNS), "from the data that is held out now"),
        (trained(OTHER), Origin(DATA, None, COLUMNS), "from other data"),
        (trained(), Origin(DATA, Holdout(), COLUMNS, sampled=True), "perhaps with other rows held out"),
    ],
)
def test_it_may_have(champion: Champion, now: Origin, words: str) -> None:
    found = warning(champion, COLUMNS, now)
    assert found is not None
    assert words in found


@pytest.mark.parametrize(
    ("settings", "safe"),
    [({}, False), (STABLE, False), ({**STABLE, "key": "id"}, True), ({"group": "id"}, True)],
)
def test_other_columns_choose_other_rows_unless_one_column_decides(
    settings: dict[str, Any], safe: bool
) -> None:
    """A random split keeps rows with equal features together, a stable one is by the features' values."""
    found = warning(trained(**settings), ("age",), today(**settings))
    assert (found is None) == safe


def test_a_sample_of_the_rows_does_not_move_a_stable_split() -> None:
    now = Origin(DATA, Holdout.model_validate({**STABLE, "key": "id"}), COLUMNS, sampled=True)
    assert warning(trained(**STABLE, key="id"), COLUMNS, now) is None


def after(value: str) -> dict[str, Any]:
    return {"after": {"column": "day", "value": value}}


@pytest.mark.parametrize(
    ("then", "now", "safe"),
    [
        ("2026-09-01T00:00:00Z", "2026-09-01T01:00:00+02:00", False),
        ("2026-09-01T01:00:00+02:00", "2026-09-01T00:00:00Z", True),
        ("2026-09-01T00:00:00Z", "2026-09-01T00:00:00+00:00", True),
        ("2026-09-01", "2026-09-02T00:00:00Z", False),
        ("2026-09-01T00:00:00Z", "2026-09-02", False),
    ],
)
def test_moments_are_compared_with_their_zones(then: str, now: str, safe: bool) -> None:
    found = warning(trained(OTHER, **after(then)), COLUMNS, today(**after(now)))
    assert (found is None) == safe
    one = ("T" in then) != ("T" in now)
    assert one == ("has a time zone" in (found or ""))
