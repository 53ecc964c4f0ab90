"""A target is met, missed or not measured, and never met by accident."""

from __future__ import annotations

import pytest
from bench.results import OURS, Health, MetricsCost, Results, Sample, Series, Soak
from bench.soak import summary
from bench.targets import Verdict, verdicts
from unit.bench.given import footprint, load, results, sample


def verdict(found: Results, what: str, target: str = "") -> Verdict:
    return next(one for one in verdicts(found) if one.what == what and target in one.target)


def test_nothing_that_was_not_measured_is_met() -> None:
    assert {one.met for one in verdicts(results())} == {None}


@pytest.mark.parametrize(("fastapi", "met"), [(1000, True), (1001, False)])
def test_twelve_times_fastapi_is_the_ratio_of_the_medians(fastapi: float, met: bool) -> None:
    found = load("one-16", [sample(12_000), sample(1), sample(90_000)], [sample(fastapi)] * 3)

    assert verdict(results(loads=[found]), "one row JSON, 16 connections", "FastAPI").met is met


def test_another_load_does_not_answer_for_a_target() -> None:
    found = load("one-64", [sample(99_000)], [sample(1)])

    assert verdict(results(loads=[found]), "one row JSON, 16 connections", "FastAPI").met is None


@pytest.mark.parametrize(("p99", "met"), [(400, True), (401, False)])
def test_our_slowest_percent_may_be_as_slow_as_fastapis_half(p99: float, met: bool) -> None:
    found = load("one-1", [sample(2, p99_us=p99)], [sample(1, p50_us=400)])

    assert verdict(results(loads=[found]), "one row JSON, 1 connection", "p99").met is met


@pytest.mark.parametrize(("resident", "met"), [(70, True), (70.1, False)])
def test_memory_has_a_bound(resident: float, met: bool) -> None:
    found = results(footprints=[footprint(resident)])

    assert verdict(found, "resident memory after the loads").met is met


def test_the_start_is_judged_by_its_median() -> None:
    found = verdict(
        results(footprints=[footprint(seconds=[0.29, 0.3, 0.9])]), "from exec to the first answer"
    )

    assert (found.met, found.measured) == (True, "0.30 s (0.29-0.90)")


@pytest.mark.parametrize(("p99", "met"), [(10, True), (10.1, False)])
def test_health_has_a_bound(p99: float, met: bool) -> None:
    health = Health(probes=100, p50_ms=1, p99_ms=p99, highest_ms=20)

    assert verdict(results(health=health), "health probe while the 1 ms model is loaded").met is met


@pytest.mark.parametrize(("counted", "met"), [(10.3, True), (10.4, False)])
def test_counting_is_judged_by_the_rounds_that_were_disturbed_least(counted: float, met: bool) -> None:
    def series(*cpu_us: float) -> Series:
        return Series(contender=OURS, samples=[sample(1, cpu_us=one) for one in cpu_us])

    cost = MetricsCost(counted=series(20, counted, 15), scraped=series(99), uncounted=series(10, 11, 30))

    assert verdict(results(metrics=cost), "cost of counting, in CPU per request").met is met


def soaked(*seen: tuple[int, float, int]) -> Soak:
    return summary(seen, {"http 200": 1}, allowed=1.0)


def test_memory_that_is_taken_while_warming_up_is_no_growth() -> None:
    found = soaked((0, 50, 9), (100_000, 65, 9), (400_000, 70, 9), (800_000, 70, 9), (1_200_000, 70, 9))

    assert found.growth_mib_per_million == pytest.approx(0)
    assert found.steady()


def test_memory_that_keeps_growing_is_found() -> None:
    found = soaked((0, 50, 9), (500_000, 51, 9), (1_000_000, 51.6, 9), (1_500_000, 52.2, 9))

    assert found.growth_mib_per_million == pytest.approx(1.2)
    assert not found.steady()


def test_a_file_descriptor_that_stays_is_found() -> None:
    assert not soaked((0, 50, 9), (500_000, 50, 9), (1_000_000, 50, 10)).steady()


def test_a_sample_says_which_field_is_unknown() -> None:
    with pytest.raises(ValueError, match="speed"):
        Sample.model_validate({**sample(1).model_dump(), "speed": 1})
