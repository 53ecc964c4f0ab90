"""What pods show is read as counts, or refused: it is not trusted."""

from __future__ import annotations

from collections import defaultdict
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from modelwright.inferenceservice.analysis.exposition import (
    KEPT,
    MOST_LINES,
    Counts,
    Sample,
    scraped,
)
from modelwright_serving.metrics import Metrics
from modelwright_serving.traffic.compare import Comparison, Uncompared
from modelwright_serving.traffic.counts import CopyOutcome, Outcome

DELEGATED = "modelwright_delegated_requests_total"
TEXT = """
# HELP modelwright_delegated_requests_total Inference requests.
# TYPE modelwright_delegated_requests_total counter
modelwright_delegated_requests_total{model="m",version="1",revision="new",outcome="Answered"} 90.0
modelwright_delegated_requests_total{model="m",version="1",revision="new",outcome="Failed"} 10.0
modelwright_delegated_requests_total{model="m",version="1",revision="old",outcome="Failed"} 7.0
# TYPE modelwright_request_duration_seconds histogram
modelwright_request_duration_seconds_bucket{le="0.1",protocol="http"} 3.0
modelwright_request_duration_seconds_bucket{le="+Inf",protocol="http"} 4.0
modelwright_request_duration_seconds_bucket{le="0.1",protocol="grpc"} 1.0
modelwright_request_duration_seconds_bucket{le="+Inf",protocol="grpc"} 1.0
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.5
"""


def counts(text: str) -> Counts:
    return scraped(text).counts


def test_the_samples_that_matter_are_read_and_protocols_added_up() -> None:
    assert counts(TEXT) == {
        (DELEGATED, "new", "Answered"): 90.0,
        (DELEGATED, "new", "Failed"): 10.0,
        (DELEGATED, "old", "Failed"): 7.0,
        ("modelwright_request_duration_seconds_bucket", "0.1"): 4.0,
        ("modelwright_request_duration_seconds_bucket", "+Inf"): 1.0,
    }


def test_the_process_that_counts_is_identified_by_its_start() -> None:
    assert scraped("process_start_time_seconds 1767225600.25\n").started == 1767225600.25
    assert scraped(TEXT).started == 0


def test_cells_are_read_as_they_are_and_cumulative_buckets_become_cells() -> None:
    fine = "".join(f'modelwright_request_duration_seconds_cell{{le="{le}"}} 2\n' for le in ("0.1", "0.105"))
    assert list(counts(fine).values()) == [2.0, 2.0]
    bounds = (("10.0", 7), ("+Inf", 9), ("2.0", 3), ("1.0", 3))
    coarse = "".join(
        f'modelwright_shadow_difference_bucket{{revision="{revision}",le="{le}"}} {count}\n'
        for le, count in bounds
        for revision in ("a", "b")
    )
    for revision in ("a", "b"):
        name = "modelwright_shadow_difference_bucket", revision
        found = {sample[2]: value for sample, value in counts(coarse).items() if sample[:2] == name}
        assert found == {"1.0": 3.0, "2.0": 0.0, "10.0": 4.0, "+Inf": 2.0}


def test_buckets_whose_counts_decrease_are_not_believed() -> None:
    name = "modelwright_request_duration_seconds_bucket"
    with pytest.raises(ValueError, match="decrease"):
        counts(f'{name}{{le="1.0"}} 3\n{name}{{le="2.0"}} 2\n')


@pytest.mark.parametrize(
    "value", ["+Inf", "-Inf", "NaN", "-1", "1e300", "9007199254740994", "x", "0x10", "", "1 2 3"]
)
def test_a_value_that_is_no_count_is_not_believed(value: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        counts(f'{DELEGATED}{{revision="new",outcome="Answered"}} {value}')


@pytest.mark.parametrize(
    "sample",
    [
        'modelwright_requests_total{code="²"}',
        f'modelwright_requests_total{{code="{"9" * 5000}"}}',
        'modelwright_requests_total{code="200}',
        "modelwright_requests_total{code=200}",
        'modelwright_requests_total{code="200"',
        'modelwright_requests_total{code="200"}}',
        'modelwright_requests_total{code="200";x="y"}',
        'modelwright_request_duration_seconds_bucket{le="NaN"}',
        'modelwright_request_duration_seconds_bucket{le="-1"}',
        'modelwright_request_duration_seconds_bucket{le=""}',
        'modelwright_requests_total code="200"}',
        f'{DELEGATED}{{revision="{"x" * 64}",outcome="Failed"}}',
        f'{DELEGATED}{{revision="new\\n",outcome="Failed"}}',
    ],
)
def test_labels_that_no_server_of_ours_has_are_not_believed(sample: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        counts(f"{sample} 1")


def test_more_lines_than_any_server_has_are_not_believed() -> None:
    with pytest.raises(ValueError, match="lines"):
        counts('modelwright_requests_total{code="200"} 1\n' * (MOST_LINES + 1))


@pytest.mark.parametrize(
    "text",
    ["", "{", "a b c d", "<html>", "modelwright_requests_totals 5", "x modelwright_requests_total 5", "\0"],
)
def test_lines_without_a_known_name_are_passed_over(text: str) -> None:
    assert counts(text) == {}


def general(text: str) -> Counts:
    """The same by the parser of prometheus_client, with the count of each bucket instead of the cumulative one, and no
    buckets beside cells."""
    found: Counts = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in KEPT:
                labels = (sample.labels.get(label, "") for label in KEPT[sample.name])
                found[sample.name, *labels] += sample.value
    below: dict[Sample, float] = {}
    buckets = [key for key in found if key[0].endswith("_bucket")]
    for key in sorted(buckets, key=lambda key: float(key[-1])):
        cumulative = found[key]
        found[key] -= below.get(key[:-1], 0.0)
        below[key[:-1]] = cumulative
    names = {key[0] for key in found}
    doubled = {f"{name.removesuffix('_cell')}_bucket" for name in names if name.endswith("_cell")}
    return {key: value for key, value in found.items() if key[0] not in doubled}


def test_a_real_exposition_is_read_as_by_the_general_parser() -> None:
    server = Metrics('a "model" {of}, \\ours', "churn-1")
    for number, revision in enumerate(("abc", "def")):
        seen = server.traffic.revision(revision)
        seen.outcomes.update(dict.fromkeys(Outcome, number + 3))
        seen.copied.update(dict.fromkeys(CopyOutcome, number + 5))
        seen.uncompared.update(dict.fromkeys(Uncompared, number + 6))
        seen.add(Comparison(10, 7, 3, 0.02, non_finite=True))
    server.http.done(200, 0.01)
    server.http.done(503, 3.0)
    server.grpc.done("OK", 0.2)
    text = server.render().decode()

    assert counts(text) == general(text)
    assert counts(text)[DELEGATED, "def", "Failed"] == 4


NUMBERS = (
    st.integers(0, 10**6).map(str) | st.floats(0, 1e15).map(repr) | st.sampled_from(["1e3", "0.0", "+5"])
)
TEXTS = st.text('ab1 {}",=#\\\né💥', max_size=12)
HELD = {
    "revision": st.from_regex(r"[a-z0-9]{0,10}", fullmatch=True),
    "outcome": st.sampled_from(["Answered", "Failed", ""]),
    "reason": st.sampled_from(["Busy", "TooLarge", ""]),
    "code": st.sampled_from(["200", "503", "OK", "DATA_LOSS"]),
    "digest": st.sampled_from(["0a1b2c3d", ""]),
    "right": st.sampled_from(["true", "false", ""]),
    "kind": st.sampled_from(["n", "squares", ""]),
    "classes": st.sampled_from(["0a1b", ""]),
    "label": st.sampled_from(["0", "31", ""]),
    "cell": st.sampled_from(["0", "19", ""]),
    "le": st.sampled_from(["0.1", "1e-06", "10.0", "+Inf"]),
}


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A sample, a comment, or a sample that nobody asked for."""
    name = draw(st.sampled_from([*KEPT, "process_cpu_seconds_total", "modelwright_requests"]))
    if draw(st.integers(0, 5)) == 0:
        return f"# HELP {name} {escaped(draw(TEXTS))}"
    labels = {label: draw(HELD[label]) for label in KEPT.get(name, ())}
    labels |= draw(st.dictionaries(st.sampled_from(["model", "version", "x_1"]), TEXTS, max_size=3))
    order = draw(st.permutations(sorted(labels)))
    inside = ",".join(f'{label}="{escaped(labels[label])}"' for label in order)
    braces = draw(st.sampled_from([f"{{{inside}}}", f"{{{inside},}}"] if inside else ["", "{}"]))
    gap, stamp = draw(st.sampled_from([" ", "   "])), draw(st.sampled_from(["", " 1767225600000", "  -5"]))
    return f"{name}{braces}{gap}{draw(NUMBERS)}{stamp}"


@given(found=st.lists(lines(), max_size=20))
def test_generated_expositions_are_read_as_by_the_general_parser(found: list[str]) -> None:
    text = "\n".join([*found, ""])
    expected = general(text)
    if min(expected.values(), default=0.0) < 0:
        with pytest.raises(ValueError, match="decrease"):
            counts(text)
    else:
        assert counts(text) == expected


@given(
    text=st.text()
    | st.lists(st.sampled_from([*KEPT, "{", "}", '"', "=", ",", " ", "\n", "le", "1", "\\"])).map("".join)
)
def test_no_text_gives_anything_but_counts_or_a_refusal(text: str) -> None:
    try:
        found = counts(text)
    except ValueError:
        return
    assert all(0 <= value < inf for value in found.values())
