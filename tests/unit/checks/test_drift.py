"""The verdict on a window, case by case. The counts are those that are expected: `tests/drift_simulated` has chance."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import isfinite, log
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.checks.drift import Demands, Found, judge
from modelwright.checks.monitored import Counts, Feature, Profile, Window

NORMAL = NormalDist()
EDGES = tuple(NORMAL.inv_cdf(index / 10) for index in range(1, 10))
DEMANDS = Demands()
# Of so many features the tests share alpha.
FEATURES = 20


def rounded(shares: Sequence[float], rows: int) -> Counts:
    """So many rows, distributed over cells."""
    ends = [round(sum(shares[: index + 1]) * rows) for index in range(len(shares))]
    return tuple(end - start for start, end in zip([0, *ends], ends, strict=False))


def normal(rows: int, mean: float = 0.0, deviation: float = 1.0) -> Counts:
    """Rows of a normal variable in the deciles of a standard one."""
    below = [0.0, *(NormalDist(mean, deviation).cdf(edge) for edge in EDGES), 1.0]
    return rounded([high - low for low, high in pairwise(below)], rows)


def of_profile(rows: int = 5000, features: int = FEATURES) -> Profile:
    """A profile of normal features, and a projection and a prediction that are normal as well."""
    columns = [
        Feature(f"f{index}", "Ordered", normal(rows), EDGES, outside=rows // 250) for index in range(features)
    ]
    projection = Feature("projection 1", "Ordered", normal(rows), EDGES)
    return Profile(rows, tuple(columns), (projection,), (replace(columns[0], name="prediction"),))


def of_window(rows: int = 500, features: int = FEATURES, **changes: Counts) -> Window:
    """A window that is as the profile, but for these cells and extras of features, and of others by their part."""

    def counts(name: str) -> Counts:
        return changes.get(name, (*normal(rows), 0, 0, rows // 250))

    return Window(
        requests=rows,
        rows=rows,
        counted=rows,
        squares=rows,
        features=tuple(counts(f"f{index}") for index in range(features)),
        projections=(changes.get("projection", normal(rows)),),
        predictions=(counts("prediction"),),
    )


def drifted(profile: Profile, window: Window, demands: Demands = DEMANDS) -> list[Found]:
    """What is drift of a window."""
    judged = judge(profile, window, demands)
    found = [each for each in judged.worst if each.drifted]
    assert (judged.verdict == "Drifted") == bool(found)
    return found


def test_a_window_like_the_hold_out_has_no_drift() -> None:
    judged = judge(of_profile(), of_window(), DEMANDS)
    assert (judged.verdict, judged.reason, judged.rows_needed) == ("NoDrift", "NoDrift", None)
    assert len(judged.worst) == 5
    # location, spread, psi, missing and outside of each feature; no missing ones of the others.
    assert judged.tests == FEATURES * 5 + 3 + 4
    assert judged.detectable == pytest.approx(0.277, abs=0.001)


def test_a_mean_that_moves_is_found_and_named() -> None:
    window = of_window(f7=(*normal(500, mean=0.3), 0, 0, 4))
    judged = judge(of_profile(), window, DEMANDS)
    assert (judged.verdict, judged.reason) == ("Drifted", "FeatureDrift")
    worst = judged.worst[0]
    assert (worst.feature, worst.part, worst.statistic) == ("f7", "feature", "location")
    assert worst.value == pytest.approx(0.29, abs=0.01)
    assert 0.15 < worst.threshold <= 0.2
    assert (worst.cell, worst.expected) == ("> 1.28155", 0.1)
    assert worst.share == pytest.approx(0.164)
    (found,) = drifted(of_profile(), of_window(f7=(*normal(500, mean=-0.3), 0, 0, 4)))[:1]
    assert found.value == pytest.approx(-0.29, abs=0.01)


@pytest.mark.parametrize(("deviation", "sign"), [(1.5, 1), (0.6, -1)])
def test_a_spread_that_changes_is_found(deviation: float, sign: int) -> None:
    found = drifted(of_profile(), of_window(f3=(*normal(500, deviation=deviation), 0, 0, 4)))
    assert ("f3", "spread") in [(each.feature, each.statistic) for each in found]
    assert next(each.value for each in found if each.statistic == "spread") * sign > 0.3


@pytest.mark.parametrize("mean", [0.2, 0.3, 0.5, 1.0])
def test_psi_is_the_population_stability_index(mean: float) -> None:
    """The square of the shift; a fifth less for one of a standard deviation, where it is far beyond any limit."""
    window = of_window(50_000, f0=(*normal(50_000, mean=mean), 0, 0, 200))
    psi = next(
        each for each in drifted(of_profile(50_000), window, Demands(effect=0.0)) if each.statistic == "psi"
    )
    first, second = normal(50_000, mean=mean), normal(50_000)
    of_textbooks = sum((a - b) / 50_000 * log(a / b) for a, b in zip(first, second, strict=True))
    assert psi.value == pytest.approx(of_textbooks, rel=0.1 if mean < 1 else 0.25)
    assert psi.value == pytest.approx(mean**2, rel=0.15 if mean < 1 else 0.3)


def test_how_features_go_together_is_drift_of_its_own() -> None:
    window = of_window(projection=normal(500, deviation=1.6))
    judged = judge(of_profile(), window, DEMANDS)
    assert (judged.verdict, judged.reason) == ("Drifted", "CorrelationDrift")
    assert judged.worst[0].feature == "projections"
    assert judged.worst[0].cell.startswith("projection 1: ")


def test_predictions_that_change_alone_are_drift_of_their_own() -> None:
    judged = judge(of_profile(), of_window(prediction=(*normal(500, mean=0.5), 0, 0, 4)), DEMANDS)
    assert (judged.reason, judged.worst[0].feature) == ("PredictionDrift", "prediction")


def test_a_feature_is_named_before_what_follows_from_it() -> None:
    shifted = (*normal(500, mean=0.5), 0, 0, 4)
    judged = judge(of_profile(), of_window(f1=shifted, prediction=(*normal(500, mean=2.0), 0, 0, 4)), DEMANDS)
    assert judged.reason == "FeatureDrift"


def test_missing_values_are_found_in_both_directions() -> None:
    window = of_window(f0=(*normal(450), 0, 50, 4))
    (found,) = drifted(of_profile(), window)
    assert (found.statistic, found.cell, found.share, found.expected) == ("missing", "missing", 0.1, 0.0)
    profile = of_profile()
    half = replace(profile.features[0], counts=normal(2500), missing=2500)
    (found,) = drifted(replace(profile, features=(half, *profile.features[1:])), of_window())
    assert (found.statistic, found.value < 0, found.share, found.expected) == ("missing", True, 0.0, 0.5)


def test_a_feature_that_is_always_missing_is_found() -> None:
    (found,) = drifted(of_profile(), of_window(f0=(*[0] * 10, 0, 500, 0)))
    assert (found.statistic, found.share) == ("missing", 1.0)


def test_values_out_of_the_range_are_found_only_if_there_are_more() -> None:
    cells = normal(500)
    (found,) = drifted(of_profile(), of_window(f0=(*cells, 0, 0, 30)))
    assert (found.statistic, found.cell, found.share) == ("outside", "outside", 0.06)
    assert found.expected == pytest.approx(0.004)
    profile = of_profile()
    wide = replace(profile.features[0], outside=1000)
    assert not drifted(
        replace(profile, features=(wide, *profile.features[1:])), of_window(f0=(*cells, 0, 0, 0))
    )


NAMED = Feature("plan", "Named", (3000, 1500, 480), values=("basic", "pro", "max"), other=20)


def with_plan(*counts: int, feature: Feature = NAMED) -> list[Found]:
    """What is drift of a window with this feature alone."""
    rows = sum(counts)
    window = Window(rows, rows, rows, rows, ((*counts, 0, 0),), (), ())
    return drifted(Profile(5000, (feature,), (), ()), window)


def test_shares_of_categories() -> None:
    assert not with_plan(300, 150, 48, 2)
    (found,) = with_plan(240, 210, 48, 2)
    assert (found.statistic, found.cell) == ("psi", "pro")
    assert found.share == pytest.approx(0.4217, abs=1e-3)


def test_values_that_the_hold_out_does_not_name_are_found() -> None:
    (found,) = with_plan(285, 140, 45, 30)
    assert (found.feature, found.statistic, found.cell) == ("plan", "unseen", "unseen")
    assert (found.share, found.expected) == (0.06, 0.004)
    closed = replace(NAMED, counts=(3000, 1500, 500), other=0)
    assert with_plan(285, 140, 45, 30, feature=closed)


def test_values_that_are_named_by_chance_are_no_drift() -> None:
    """Of 400 values with 7 rows each, a hold-out names those that have 10 or more. They are rarer in any window."""
    lucky = Feature("city", "Named", tuple([11] * 50), values=tuple(map(str, range(50))), other=4450)
    window = [round(7 / 5000 * 10_000)] * 50
    assert not with_plan(*window, 10_000 - sum(window), feature=lucky)


def test_a_change_too_small_to_matter_is_none_however_many_rows_there_are() -> None:
    rows = 1_000_000
    slight = (*normal(rows, mean=0.15), 0, 0, 4000)
    assert not drifted(of_profile(), of_window(rows, f0=slight))
    assert drifted(of_profile(), of_window(rows, f0=slight), Demands(effect=0.1))
    assert drifted(of_profile(), of_window(rows, f0=(*normal(rows, mean=0.25), 0, 0, 4000)))


@pytest.mark.parametrize("rows", [1, 499])
def test_a_window_with_few_rows_is_not_judged(rows: int) -> None:
    judged = judge(of_profile(), of_window(rows, f0=(*normal(rows, mean=3), 0, 0, 0)), DEMANDS)
    assert (judged.verdict, judged.reason, judged.rows_needed) == ("Inconclusive", "CollectingSamples", 500)


def test_a_window_without_rows_is_not_judged() -> None:
    judged = judge(of_profile(), of_window(0), Demands(min_samples=0))
    assert (judged.verdict, judged.rows_needed) == ("Inconclusive", 1)


@pytest.mark.parametrize("rows", [0, 60, 99])
def test_a_small_hold_out_is_nothing_to_compare_with(rows: int) -> None:
    judged = judge(of_profile(rows), of_window(f0=(*normal(500, mean=3), 0, 0, 0)), DEMANDS)
    assert (judged.verdict, judged.reason, judged.rows_needed) == ("Inconclusive", "ReferenceTooSmall", None)


def test_a_limit_too_wide_to_find_anything_asks_for_rows() -> None:
    demands = Demands(min_samples=50)
    judged = judge(of_profile(), of_window(60), demands)
    assert (judged.verdict, judged.reason) == ("Inconclusive", "CollectingSamples")
    assert judged.rows_needed is not None
    assert 60 < judged.rows_needed < 90
    assert judge(of_profile(), of_window(judged.rows_needed + 1), demands).verdict == "NoDrift"
    assert judge(of_profile(100, 1024), of_window(features=1024), demands).reason == "ReferenceTooSmall"


def test_nothing_in_common_is_nothing_to_compare() -> None:
    window = replace(of_window(), features=(), projections=(), predictions=())
    assert judge(of_profile(), window, DEMANDS).reason == "NothingToCompare"
    assert judge(Profile(5000, (), (), ()), window, DEMANDS).reason == "NothingToCompare"


def test_predictions_are_compared_when_a_pod_could_not_say_its_features() -> None:
    window = replace(of_window(prediction=(*normal(500, mean=0.5), 0, 0, 4)), features=(), projections=())
    judged = judge(of_profile(), window, DEMANDS)
    assert (judged.reason, judged.tests) == ("PredictionDrift", 4)


def test_a_few_large_requests_are_not_judged() -> None:
    """One caller's batch is one caller's distribution, however many rows it has."""
    window = replace(
        of_window(10_000, f0=(*normal(10_000, mean=1), 0, 0, 40)), requests=10, squares=10 * 1000**2
    )
    judged = judge(of_profile(), window, DEMANDS)
    assert (judged.verdict, judged.reason, judged.rows_needed) == ("Inconclusive", "FewRequests", 20_000)
    # One large request among many small ones is as bad.
    window = replace(window, requests=1001, squares=9000**2 + 1000)
    assert judge(of_profile(), window, DEMANDS).reason == "FewRequests"


def test_rows_of_one_request_count_for_less() -> None:
    """The limit of 10,000 rows in requests of 100 is that of 1,681 rows alone."""
    batches = replace(of_window(10_000), requests=100, squares=100 * 100**2)
    alone = judge(of_profile(), of_window(1681), DEMANDS)
    assert judge(of_profile(), batches, DEMANDS).detectable == pytest.approx(alone.detectable, rel=1e-3)


@pytest.mark.parametrize("size", [3, 7, 20, 30])
def test_equal_shares_are_no_drift_of_batches_however_small_an_effect_may_be(size: int) -> None:
    profile = of_profile()
    gappy = replace(profile.features[0], counts=normal(4500), missing=500, outside=None)
    window = of_window(1000, f0=(*normal(900), 0, 100, 0))
    batches = replace(window, requests=1000 // size, squares=1000 * size)
    assert not drifted(
        replace(profile, features=(gappy, *profile.features[1:])), batches, Demands(effect=0.0)
    )


def test_two_windows_with_the_same_noise_of_the_hold_out_have_a_wider_limit() -> None:
    """1,000 rows are compared with 10,000, or the other way: the noise is the same, but in one case it repeats."""
    few, many = of_profile(1000, 2), of_profile(10_000, 2)
    demands = Demands(effect=0.0)
    repeats = judge(few, of_window(10_000, 2), demands)
    alone = judge(many, of_window(1000, 2), demands)
    assert repeats.detectable is not None
    assert alone.detectable is not None
    assert 1.02 < repeats.detectable / alone.detectable < 1.1


def test_a_thousand_features_are_judged_in_no_time() -> None:
    profile, window = of_profile(5000, 1000), of_window(5000, 1000, f999=(*normal(5000, mean=0.4), 0, 0, 20))
    judge(profile, window, DEMANDS)
    began = time.process_time()
    judged = judge(profile, window, DEMANDS)
    assert judged.worst[0].feature == "f999"
    # 30 ms on a quiet machine.
    assert time.process_time() - began < 0.2


COUNTS = st.lists(st.integers(0, 1000), min_size=13, max_size=13)


@given(
    counts=st.lists(COUNTS, min_size=2, max_size=2),
    rows=st.integers(0, 3000),
    squares=st.floats(0, 1e308),
    reference=st.integers(0, 300),
    demands=st.builds(
        Demands, st.integers(0, 50), st.floats(1e-6, 0.5), st.sampled_from([0.0, 1e-3, 0.2, 2.0])
    ),
)
def test_whatever_a_pod_says_has_a_verdict(
    counts: list[list[int]], rows: int, squares: float, reference: int, demands: Demands
) -> None:
    profile = of_profile(reference, 2)
    window = Window(rows, rows, rows, squares, tuple(map(tuple, counts)), (), ())
    judged = judge(profile, window + window, demands)
    for found in judged.worst:
        assert 0 <= found.share <= 1
        assert 0 <= found.expected <= 1
        assert isfinite(found.value)
