"""A random sample of the rows: uniform, in order, the same for a seed, in bounded memory."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from unit.training.pod import Pod
from unit.training.test_files import given_memory

from modelwright_training.documents import Sample
from modelwright_training.reading.sample import Sampler


def given(pod: Pod, rows: int, name: str = "rows.parquet") -> Pod:
    return pod.given_rows(pd.DataFrame({"x": np.arange(rows), "y": np.arange(rows) % 2}), name)


def sample(pod: Pod, name: str = "rows.parquet", **asked: int) -> list[float]:
    ending = pod.given(data={"uri": f"pvc://lake/{name}", "sample": asked}).run("fetch")
    assert ending.code == 0, ending.document
    train, held = pd.read_parquet(pod.paths.train_rows), pd.read_parquet(pod.paths.holdout_rows)
    assert train["x"].is_monotonic_increasing
    return sorted([*train["x"], *held["x"]])


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_a_sample_is_the_same_for_its_seed_and_is_noted(pod: Pod, name: str) -> None:
    given(pod, 50_000, name)
    first = sample(pod, name, rows=500)
    assert len(first) == 500
    assert first == sample(pod, name, rows=500) != sample(pod, name, rows=500, seed=1)
    assert "a sample of 500 of 50000 rows" in pod.run("fetch").result["notes"]


def test_a_sample_of_more_rows_than_there_are_is_all_rows(pod: Pod) -> None:
    assert sample(given(pod, 50), rows=500) == list(range(50))
    assert pod.run("fetch").result["notes"] == []


def test_the_format_does_not_change_the_sample(pod: Pod) -> None:
    assert sample(given(pod, 5000, "rows.csv"), "rows.csv", rows=300) == sample(given(pod, 5000), rows=300)


def test_a_table_larger_than_memory_is_sampled(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    given(pod, 1_000_000)
    given_memory(monkeypatch, 10)
    assert len(sample(pod, rows=1000)) == 1000
    ending = pod.given(data={"uri": "pvc://lake/rows.parquet", "sample": {"rows": 900_000}}).run("fetch")
    assert ending.reason == "DataTooLarge"
    assert "a smaller data.sample.rows" in ending.message


def test_each_row_is_chosen_equally_often() -> None:
    """Of 2,000 samples of 10 of 40 rows, each row is in 500: within 5 standard deviations (19.4)."""
    counts = np.zeros(40)
    for seed in range(2000):
        sampler = Sampler(Sample(rows=10, seed=seed))
        for start in range(0, 40, 8):
            sampler.add(pa.record_batch({"x": np.arange(start, start + 8)}))
        sampler.prune()
        chosen = pa.Table.from_batches(sampler.batches)["x"].to_numpy()
        assert (np.diff(chosen) > 0).all()
        assert len(chosen) == 10
        counts[chosen] += 1
    assert np.abs(counts - 500).max() < 5 * 19.4


def test_the_size_of_batches_does_not_change_the_sample() -> None:
    samples = []
    for size in (1, 7, 1000):
        sampler = Sampler(Sample(rows=10))
        for start in range(0, 1000, size):
            sampler.add(pa.record_batch({"x": np.arange(start, min(start + size, 1000))}))
            assert sum(batch.num_rows for batch in sampler.batches) <= 20 + size
        sampler.prune()
        samples.append(pa.Table.from_batches(sampler.batches)["x"].to_pylist())
    assert samples[0] == samples[1] == samples[2]
