"""Which rows are held out: properties for any data, and each way to choose them as a user asks for it."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.training.pod import Json, Pod, churn, numbers

from modelwright_training.documents import Holdout
from modelwright_training.errors import InputError
from modelwright_training.reading import equal_rows, stable
from modelwright_training.reading.holdout import Split, Table, split

fractions = st.floats(0.05, 0.9)
seeds = st.integers(0, 2**32 - 1)
labels = st.lists(st.sampled_from("abcd"), min_size=12, max_size=200)
numbers_or_none = st.one_of(
    st.none(), st.sampled_from([0.0, -0.0, 1.0, 2.5, 2.0**60]), st.floats(allow_nan=True)
)
words = st.sampled_from(["", "a", "b", "1", "1.0", "01", "true", "größer", "12345678901234567890"])
rows_of_two = st.lists(st.tuples(numbers_or_none, words), min_size=1, max_size=30)


def table(target: list[str], **columns: list[object]) -> Table:
    """A table of classes; without columns, with one in which all rows differ."""
    features = columns or {"x": [float(row) for row in range(len(target))]}
    return Table({name: pa.array(values) for name, values in features.items()}, pa.array(target), True)


def split_of(given: Table, holdout: Holdout) -> Split | None:
    """The split, or None where the rows cannot be split so that there is something to learn."""
    with suppress(InputError):
        return split(holdout, given)
    return None


@settings(deadline=None)
@given(labels, fractions, seeds)
def test_a_split_parts_the_rows_and_repeats_itself(names: list[str], fraction: float, seed: int) -> None:
    first = split_of(table(names), Holdout(fraction=fraction, seed=seed))
    if first is None:
        return
    np.random.seed(seed % 7)
    second = split(Holdout(fraction=fraction, seed=seed), table(names))

    assert sorted([*first.train, *first.holdout]) == list(range(len(names)))
    assert len(first.holdout) == min(round(len(names) * fraction), len(names) - len(set(names)))
    assert first.train.tolist() == second.train.tolist() == sorted(first.train)
    assert first.holdout.tolist() == second.holdout.tolist() == sorted(first.holdout)
    assert {names[row] for row in first.train} == set(names)


@settings(deadline=None)
@given(labels, fractions, seeds)
def test_a_stratified_split_keeps_each_class_near_its_share(
    names: list[str], fraction: float, seed: int
) -> None:
    done = split_of(table(names), Holdout(fraction=fraction, seed=seed))
    if done is None:
        return
    for name in set(names):
        held = sum(names[row] == name for row in done.holdout)
        # A class keeps a row to learn from: its rows of the hold-out come from the others.
        assert abs(held - fraction * names.count(name)) <= 1 + len(set(names))
        missing = [note for note in done.notes if note.startswith("not in the hold-out")]
        assert any(repr(name) in note for note in missing) == (held == 0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 8), min_size=30, max_size=200), seeds)
def test_rows_of_a_group_are_on_one_side(groups: list[int], seed: int) -> None:
    names = ["a" if row % 2 else "b" for row in range(len(groups))]
    given_rows = table(names)
    grouped = Table(
        given_rows.features, given_rows.target, True, group=pa.array([str(group) for group in groups])
    )
    done = split_of(grouped, Holdout(seed=seed, group="customer"))
    if done is None:
        return
    held, learnt = ({groups[row] for row in rows} for rows in (done.holdout, done.train))
    assert not held & learnt
    # No group could be put aside, or put with the others, and come nearer to the fraction.
    wanted, size = round(0.2 * len(groups)), len(done.holdout)
    smallest = min(groups.count(group) for group in learnt)
    assert size <= wanted or len(held) == 1 or size - wanted <= wanted
    assert size >= wanted or wanted - size <= smallest


@settings(deadline=None)
@given(rows_of_two, rows_of_two, st.randoms(use_true_random=False), seeds)
def test_a_stable_place_depends_on_the_row_only(
    rows: list[tuple[float | None, str]], more: list[tuple[float | None, str]], random: object, seed: int
) -> None:
    def places(some: list[tuple[float | None, str]], names: tuple[str, str] = ("n", "w")) -> list[float]:
        values = {
            "n": pa.array([row[0] for row in some], pa.float64()),
            "w": pa.array([row[1] for row in some]),
        }
        found = stable.places({name: values[name] for name in names}, seed)
        assert ((found >= 0) & (found < 1)).all()
        return list(found)

    first = places(rows)
    assert places(rows, ("w", "n")) == first
    assert places([*rows, *more])[: len(rows)] == first
    assert places([*more, *rows])[len(more) :] == first
    assert places(rows[::-1])[::-1] == first


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array(["1", "2.50", "", "true"]), pa.array([1.0, 2.5, None, 1.0])),
        (pa.array(["1", " 2 ", "-3", "NA"]), pa.array([1, 2, -3, None])),
        (pa.array(["a", "b", "a", ""]), pa.array(["a", "b", "a", ""]).dictionary_encode()),
        (pa.array(["a", "b", "c", ""]), pa.array(["a", "b", "c", None])),
        (pa.array([2**60, 1, 0, 3]), pa.array([2.0**60, 1.0, -0.0, 3.0])),
        (
            pa.array(["1234567890123456789", "1e3", "+5", ".5"]),
            pa.array(["1234567890123456789", "1000", "5", "0.5"]),
        ),
        (pa.array([1234567890123456789, 2**53 + 1]), pa.array(["1234567890123456789", str(2**53 + 1)])),
    ],
)
def test_a_stable_place_does_not_depend_on_how_a_value_is_stored(one: pa.Array, other: pa.Array) -> None:
    assert stable.places({"x": one}, 0).tolist() == stable.places({"x": other}, 0).tolist()


def test_stable_places_are_spread_evenly_and_are_what_the_contract_says() -> None:
    found = stable.places({"x": pa.array(range(20_000))}, 0)
    assert np.histogram(found, 10, (0, 1))[0] == pytest.approx(2000, rel=0.1)
    # SHA-256 of the seed 7 and the double 1.5, as `sha256sum` gives it: 8 bytes each, big-endian.
    assert stable.places({"x": pa.array([1.5])}, 7)[0] == pytest.approx(0.8397381511488817)
    assert stable.places({"x": pa.array([2**53 + 1])}, 0) != stable.places({"x": pa.array([2**53])}, 0)
    assert stable.places({"x": pa.array(["1" * 5000])}, 0) != stable.places({"x": pa.array(["1" * 5001])}, 0)


@settings(deadline=None)
@given(rows_of_two)
def test_equal_rows_get_the_same_number(rows: list[tuple[float | None, str]]) -> None:
    ids = equal_rows.ids(
        [pa.array([row[0] for row in rows], pa.float64()), pa.array([row[1] for row in rows])]
    )
    alike: dict[object, int] = {}
    for row, number in zip(rows, ids.tolist(), strict=True):
        key = ("missing" if row[0] is None or np.isnan(row[0]) else row[0] + 0.0, row[1])
        assert alike.setdefault(key, number) == number
    assert len(set(alike.values())) == len(alike)


def test_large_whole_numbers_are_told_apart() -> None:
    assert equal_rows.ids([pa.array([2**53, 2**53 + 1, None, 2**53 + 1])]).tolist() == [0, 1, 2, 1]


# Below, a user's data goes through fetch.


def sides(pod: Pod) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.read_parquet(pod.paths.train_rows), pd.read_parquet(pod.paths.holdout_rows)


def noise(distinct: int, times: int, columns: int = 4) -> pd.DataFrame:
    """Rows of noise, each several times, in no order."""
    rows = numbers(distinct, columns).assign(y=lambda frame: np.arange(len(frame)) % 2)
    return pd.concat([rows] * times).sample(frac=1, random_state=0)


@pytest.mark.parametrize(("distinct", "times"), [(60, 10), (30, 10), (200, 2)])
def test_copies_of_a_row_are_on_one_side(pod: Pod, distinct: int, times: int) -> None:
    rows = distinct * times
    result = pod.given_rows(noise(distinct, times)).run("fetch").result
    train, held = sides(pod)

    assert train.merge(held.drop_duplicates()).empty
    assert len(held) == pytest.approx(0.2 * rows, abs=times)
    assert pod.source_facts["duplicates"] == {"rows": rows - distinct, "ambiguous": 0, "across": 0}
    assert f"{rows - distinct} of {rows} rows repeat others; equal rows are on one side" in result["notes"]
    assert (held["y"] == 1).mean() == pytest.approx(0.5, abs=0.1)


def test_noise_that_is_repeated_is_not_learnt_by_heart(pod: Pod) -> None:
    ending = (
        pod.given_rows(noise(60, 10))
        .given(estimator="sklearn.tree.DecisionTreeClassifier")
        .through("fetch", "train", "publish")
    )
    measured = {metric["name"]: metric["value"] for metric in ending.result["metrics"]}
    assert measured["accuracy"] < 0.9


def test_rows_of_few_values_are_observations_and_no_copies(pod: Pod) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"plan": random.choice(["a", "b", "c"], 300), "region": random.choice(["eu", "us"], 300)}
    )
    frame["y"] = frame["plan"] == "a"
    result = pod.given_rows(frame).run("fetch").result

    assert len(sides(pod)[1].drop_duplicates(["plan", "region"])) == 6
    assert result["rows"] == {"train": 240, "holdout": 60}
    assert pod.source_facts["duplicates"] == {"rows": 294, "ambiguous": 0, "across": 60}
    assert not any("rows" in note for note in result["notes"])


def test_rows_whose_targets_differ_are_observations_and_no_copies(pod: Pod) -> None:
    frame = noise(60, 10).assign(y=lambda rows: np.random.default_rng(0).integers(0, 2, len(rows)))
    pod.given_rows(frame).run("fetch")
    facts = pod.source_facts

    assert facts["duplicates"]["across"] > 100
    assert facts["duplicates"]["ambiguous"] > 500
    assert any("but not its target" in note for note in facts["notes"])
    assert any("held-out rows have the features of rows to learn from" in note for note in facts["notes"])


def test_a_row_that_is_most_of_the_data_is_on_both_sides(pod: Pod) -> None:
    idle = pd.DataFrame({"x0": [0.0] * 700, "x1": [0.0] * 700, "y": ["ok"] * 700})
    active = numbers(300, 2).assign(y=lambda rows: np.where(rows["y"] == 1, "ok", "fault"))
    result = pod.given_rows(pd.concat([idle, active])).run("fetch").result
    _, held = sides(pod)

    assert result["rows"] == {"train": 800, "holdout": 200}
    assert (held["x0"] == 0).mean() == pytest.approx(0.7, abs=0.05)


def test_equal_features_with_two_targets_are_told(pod: Pod) -> None:
    frame = pd.concat([numbers(100), numbers(100)[:4].assign(y=lambda rows: 1 - rows["y"])])
    result = pod.given_rows(frame).run("fetch").result
    assert pod.source_facts["duplicates"]["ambiguous"] == 8
    assert "8 of 104 rows have the features of another row, but not its target" in result["notes"]


def rows_of(frame: pd.DataFrame) -> set[tuple[object, ...]]:
    return {
        tuple(row)
        for row in frame[["age", "fee (EUR)", "plan", "region", "y"]].fillna(-1).replace("", -1).to_numpy()
    }


def customers(count: int = 40, each: int = 5) -> pd.DataFrame:
    """Rows of customers, several for each, in no order."""
    frame = numbers(count * each).assign(customer=np.repeat(np.arange(count) + 10**18, each))
    return frame.sample(frac=1, random_state=0)


@pytest.mark.parametrize("split", ["Random", "Stable"])
@pytest.mark.parametrize("file", ["rows.csv", "rows.parquet"])
def test_a_customer_is_on_one_side_and_not_learnt_from(pod: Pod, split: str, file: str) -> None:
    pod.given_rows(customers(), file)
    pod.given(data={"uri": f"pvc://lake/{file}", "holdout": {"group": "customer", "split": split}})
    result = pod.run("fetch").result
    train, held = sides(pod)

    assert list(train.columns) == [*(f"x{place}" for place in range(5)), "y"]
    assert list(held.columns) == [*train.columns, "customer"]
    counts = held["customer"].value_counts()
    assert (counts == 5).all()
    assert pod.source_facts["group"] == "customer"
    assert result["stratified"] is False
    if split == "Random":
        assert len(counts) == 8


def test_a_group_that_is_a_feature_is_stored_once(pod: Pod) -> None:
    frame = numbers().assign(shop=["abc"[row % 3] for row in range(300)])
    data = {"features": ["x0", "shop"], "holdout": {"group": "shop"}}
    result = pod.given_rows(frame).given(data=data).run("fetch").result
    assert list(sides(pod)[1].columns) == ["x0", "shop", "y"]
    assert "1 of 3 groups of 'shop' are held out: metrics depend on which" in result["notes"]
    assert "33.3 % of the rows are held out, not 20 %" in result["notes"]


def test_a_stable_split_keeps_rows_where_they_are(tmp_path: Path) -> None:
    frame = churn(400)
    held = {}
    for name, rows in {
        "first": frame[:300],
        "grown": frame,
        "turned": frame[::-1],
        "columns": frame[["y", "region", "plan", "fee (EUR)", "age"]],
    }.items():
        pod = Pod(tmp_path / name).given_rows(rows).given(data={"holdout": {"split": "Stable"}})
        assert pod.run("fetch").code == 0
        held[name] = rows_of(sides(pod)[1])
    first = rows_of(frame[:300])
    assert held["first"] == held["grown"] & first
    assert held["grown"] == held["turned"] == held["columns"]


def test_a_key_decides_where_a_row_stays(tmp_path: Path) -> None:
    frame = numbers(200).assign(account=[f"A-{row}" for row in range(200)], place=np.arange(200) / 8)
    held = {}
    for name, rows in {
        "before": frame,
        "mended": frame.assign(x0=0.5, y=frame["y"].to_numpy()[::-1]),
    }.items():
        data = {"holdout": {"split": "Stable", "key": "account"}}
        assert Pod(tmp_path / name).given_rows(rows).given(data=data).run("fetch").code == 0
        held[name] = sides(Pod(tmp_path / name))[1]
    assert held["before"]["place"].tolist() == held["mended"]["place"].tolist()
    assert "account" not in held["before"]
    assert len(held["before"]) == pytest.approx(40, abs=20)


def over_time() -> pd.DataFrame:
    days = pd.date_range("2026-01-01", periods=300).strftime("%Y-%m-%d")
    return numbers().assign(day=days, second=np.arange(300) + 1767225600)


@pytest.mark.parametrize(
    ("after", "held"),
    [
        ({"column": "second", "value": "1767225850"}, 50),
        ({"column": "second", "value": "1767225849.5"}, 50),
        ({"column": "x0", "value": "0"}, None),
        ({"column": "day", "value": "2026-09-08"}, 50),
        ({"column": "day", "value": "2026-09-07T12:00:00"}, 50),
    ],
)
def test_what_is_later_is_held_out(pod: Pod, after: Json, held: int | None) -> None:
    exclude = [name for name in ("day", "second") if name != after["column"]]
    frame = over_time()
    pod.given_rows(frame).given(data={"exclude": exclude, "holdout": {"after": after}})
    result = pod.run("fetch").result
    point = after["value"] if after["column"] == "day" else float(after["value"])
    later = frame[frame[after["column"]] >= point]
    assert sides(pod)[1]["x1"].tolist() == later["x1"].tolist()
    assert held is None or result["rows"]["holdout"] == held
    assert result["stratified"] is False


def test_the_column_of_times_need_not_be_learnt_from(pod: Pod) -> None:
    data = {"exclude": ["second", "day"], "holdout": {"after": {"column": "second", "value": "1767225850"}}}
    result = pod.given_rows(over_time()).given(data=data).run("fetch").result
    assert result["rows"] == {"train": 250, "holdout": 50}
    assert "second" not in sides(pod)[1]


@pytest.mark.parametrize("point", ["08.09.2026", "2026-09-08"])
def test_a_point_may_be_written_as_the_column_writes_dates_or_as_iso(pod: Pod, point: str) -> None:
    days = pd.date_range("2026-01-01", periods=300).strftime("%d.%m.%Y")
    data = {"features": ["x0"], "holdout": {"after": {"column": "day", "value": point}}}
    result = pod.given_rows(numbers().assign(day=days)).given(data=data).run("fetch").result
    assert result["rows"]["holdout"] == 50


def with_gaps(column: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def gaps(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{column: frame[column].where(~frame.index.isin([1, 4, 8]))})

    return gaps


def unchanged(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


UNSUITABLE: dict[str, tuple[Json, Callable[[pd.DataFrame], pd.DataFrame], tuple[str, ...]]] = {
    "a customer is missing": ({"group": "customer"}, with_gaps("customer"), ("3 rows: rows 2, 5, 9", "holdout.group")),
    "a key is missing": (
        {"key": "customer", "split": "Stable"}, with_gaps("customer"), ("3 rows: rows 2, 5, 9", "holdout.key")
    ),
    "a time is missing": (
        {"after": {"column": "second", "value": "5"}}, with_gaps("second"), ("no number", "3 rows: rows 2, 5, 9")
    ),
    "one group only": ({"group": "customer"}, lambda frame: frame.assign(customer="me"), ("one value only",)),
    "a point that is no number": (
        {"after": {"column": "second", "value": "2026-01-01"}}, unchanged, ("'2026-01-01'", "such as '1767225600'")
    ),
    "a point after all": (
        {"after": {"column": "second", "value": "1999999999"}}, unchanged, ("the last is '1767225899'",)
    ),
    "a point before all": ({"after": {"column": "second", "value": "5"}}, unchanged, ("the first is '1767225600'",)),
    "a date is missing": (
        {"after": {"column": "day", "value": "2026-02-01"}}, with_gaps("day"), ("no date", "rows 2, 5, 9")
    ),
    "a point that is no date": (
        {"after": {"column": "day", "value": "2026-02-30"}}, unchanged, ("'2026-02-30'", "such as '2026-01-01'")
    ),
    "a point after all days": (
        {"after": {"column": "day", "value": "2027-01-01"}}, unchanged, ("the last is '2026-10-27'",)
    ),
    "times in words": (
        {"after": {"column": "plan", "value": "5"}},
        lambda frame: frame.assign(plan="monthly"),
        ("dates or numbers", "'monthly'"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSUITABLE)
def test_a_holdout_is_refused_where(pod: Pod, name: str) -> None:
    holdout, changed, texts = UNSUITABLE[name]
    frame = changed(over_time().assign(customer=[str(row // 5) for row in range(300)]))
    ending = pod.given_rows(frame).given(data={"features": ["x0", "x1"], "holdout": holdout}).run("fetch")
    assert ending.reason == "HoldoutUnsuitable"
    for text in texts:
        assert text in ending.message


def test_all_names_that_are_not_there_are_told_at_once(pod: Pod) -> None:
    data = {
        "features": ["x0", "x99"],
        "weight": "wait",
        "schema": {"xx": {"min": 0}},
        "holdout": {"group": "custom", "split": "Stable"},
    }
    ending = pod.given_rows(numbers().assign(customer=1, weight=1)).given(data=data).run("fetch")
    assert ending.reason == "FeatureMissing"
    named = ("data.features names 'x99'", "data.weight names 'wait'", "data.schema names 'xx'")
    for text in (*named, "data.holdout.group names 'custom'", "Did you mean 'customer'?"):
        assert text in ending.message


@pytest.mark.parametrize(
    "holdout", [{"key": "custom", "split": "Stable"}, {"after": {"column": "custom", "value": "1"}}]
)
def test_a_column_of_the_holdout_that_is_not_there_is_refused(pod: Pod, holdout: Json) -> None:
    ending = pod.given_rows(numbers().assign(customer=1)).given(data={"holdout": holdout}).run("fetch")
    assert ending.reason == "FeatureMissing"
    assert "data.holdout." in ending.message
    assert "Did you mean 'customer'?" in ending.message


def test_a_class_that_only_the_holdout_has_is_told(pod: Pod) -> None:
    frame = over_time().assign(y=["a", "b"] * 140 + ["a", "new"] * 10)
    data = {"exclude": ["day"], "holdout": {"after": {"column": "second", "value": "1767225850"}}}
    result = pod.given_rows(frame).given(data=data).run("fetch").result
    assert "only in the hold-out, unknown to the model: class 'new'" in result["notes"]
    assert pod.source_facts["classCounts"]["train"][pod.dataset["classes"].index("new")] == 0


def test_a_class_that_is_too_rare_to_be_scored_is_told(pod: Pod) -> None:
    frame = numbers(200).assign(y=["a", "b"] * 99 + ["rare", "rare"])
    result = pod.given_rows(frame).run("fetch").result
    assert result["stratified"] is True
    assert result["notes"] == ["not in the hold-out, not scored: class 'rare'"]


# A hold-out of the user's own.


def own(
    pod: Pod, data: pd.DataFrame, holdout: pd.DataFrame, file: str = "later.csv", **changes: object
) -> Pod:
    """A pod with two files."""
    pod.given_rows(data)
    path = pod.paths.source_holdout / file
    if file.endswith(".parquet"):
        holdout.to_parquet(path, index=False)
    else:
        holdout.to_csv(path, index=False)
    return pod.given(data={"holdout": {"uri": f"pvc://lake/{file}"}, **changes})


def test_a_holdout_of_ones_own_that_is_the_data_is_refused(pod: Pod) -> None:
    ending = own(pod, churn(60), churn(60)).run("fetch")
    assert ending.reason == "HoldoutUnsuitable"
    assert "the same bytes as data.uri" in ending.message


def test_a_copied_holdout_of_a_single_column_is_noted(pod: Pod) -> None:
    data = pd.DataFrame({"x": [row * 7 % 31 / 2 for row in range(60)], "y": ["a", "b"] * 30})
    result = own(pod, data, data.iloc[::-1]).run("fetch").result
    assert "60 of 60 held-out rows have the features of rows to learn from" in result["notes"]


@pytest.mark.parametrize("file", ["later.csv", "later.parquet"])
def test_all_rows_are_learnt_from_with_a_holdout_of_ones_own(pod: Pod, file: str) -> None:
    data, later = churn(200), churn(50, seed=1)
    order = ["y", *[name for name in later if name != "y"]]
    ending = own(pod, data, later[order], file).through("fetch", "train", "publish")
    train, held = sides(pod)

    assert ending.code == 0
    for name in ("age", "plan", "y"):
        assert train[name].fillna(-1).tolist() == data[name].fillna(-1).tolist()
        assert held[name].fillna(-1).tolist() == later[name].fillna(-1).tolist()
    facts = pod.source_facts
    assert facts["rows"] == {"train": 200, "holdout": 50}
    assert facts["holdout"]["source"] == f"pvc://lake/{file}"
    assert facts["holdout"]["digest"] != facts["digest"]
    assert file not in pod.paths.dataset.read_text()


def test_rows_of_the_data_in_a_holdout_of_ones_own_are_counted(pod: Pod) -> None:
    result = own(pod, numbers(200), pd.concat([numbers(200)[:30], numbers(20, seed=1)])).run("fetch").result
    assert "30 of 50 held-out rows have the features of rows to learn from" in result["notes"]
    assert pod.source_facts["duplicates"]["across"] == 30


def test_a_counting_column_is_an_identifier_whatever_the_holdout_counts(pod: Pod) -> None:
    data, later = (numbers(rows, seed=rows).assign(number=np.arange(rows)) for rows in (200, 50))
    assert own(pod, data, later).run("fetch").code == 0
    assert "number" not in sides(pod)[0]


def test_a_group_of_lists_is_refused(pod: Pod) -> None:
    frame = numbers().assign(tags=pd.Series([["a", "b"]] * 300))
    data = {"uri": "pvc://lake/rows.parquet", "features": ["x0"], "holdout": {"group": "tags"}}
    ending = pod.given_rows(frame, "rows.parquet").given(data=data).run("fetch")
    assert ending.reason == "HoldoutUnsuitable"
    assert "'tags'" in ending.message


def test_what_only_a_holdout_of_ones_own_has_is_told(pod: Pod) -> None:
    data = numbers(200).assign(y=["ok", "bad"] * 100, w=2.0)
    later = numbers(50, seed=1).assign(remark="x", y=["new", *["ok", "bad"] * 24, "ok"])
    result = own(pod, data, later, weight="w").run("fetch").result
    assert "only in the hold-out, unknown to the model: class 'new'" in result["notes"]
    assert "not used, since only the hold-out has them: 'remark'" in result["notes"]
    assert sides(pod)[0]["w"].tolist() == [2.0] * 200


OWN: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str, tuple[str, ...]]] = {
    "columns are missing": (
        lambda later: later.rename(columns={"age": "Age", "plan": "tariff"}),
        "HoldoutUnsuitable",
        ("lacks columns of the data: 'age', 'plan'", "Did you mean 'Age'?", "'tariff'"),
    ),
    "numbers are words": (
        lambda later: later.assign(age=["old" if row in (3, 9) else "30" for row in range(50)]),
        "HoldoutUnsuitable",
        ("'age' is of type", "2 values are not: rows 4, 10, such as 'old'"),
    ),
    "dates are written in another way": (
        lambda later: later.assign(day=[f"{row % 28 + 1:02}.02.2026" for row in range(50)]),
        "HoldoutUnsuitable",
        ("'day'", "YYYY-MM-DD"),
    ),
    "numbers are written in another way": (
        lambda later: later.assign(rate=[f"{row},5" for row in range(50)]),
        "HoldoutUnsuitable",
        ("'rate' is written with", "decimal comma"),
    ),
    "a target is missing": (
        lambda later: later.assign(y=later["y"].where(later.index != 4)),
        "TargetHasMissingValues",
        ("data.holdout.uri", "row 5"),
    ),
    "a rule is broken": (
        lambda later: later.assign(age=[200, *[30] * 49]),
        "SchemaViolation",
        ("data.holdout.uri", "row 1", "max: 120"),
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_a_holdout_of_ones_own_is_refused_where(pod: Pod, name: str) -> None:
    changed, reason, texts = OWN[name]
    data, later = (
        churn(rows, seed).assign(
            rate=np.arange(rows) / 4, day=pd.date_range("2026-01-01", periods=rows).strftime("%Y-%m-%d")
        )
        for rows, seed in ((200, 0), (50, 1))
    )
    ending = own(pod, data, changed(later), schema={"age": {"max": 120}}).run("fetch")
    assert ending.reason == reason
    for text in texts:
        assert text in ending.message
