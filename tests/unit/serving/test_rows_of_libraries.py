"""Models of the libraries that people train with share runs, and a caller's answers stay theirs to the last bit."""

import logging
from pathlib import Path

import numpy as np
import pytest
from unit.serving import libraries
from unit.serving.conftest import ModelFile
from unit.serving.libraries import ROWS, SUMMING_BY_PLACE, WIDTH

from modelwright_serving.model import LoadedModel, load

EVERY = dict(libraries.every())


def _answers(model: LoadedModel, rows: object) -> list[list[object]]:
    return [output.tolist() for output in model.run([rows])]  # type: ignore[list-item]


@pytest.mark.parametrize("name", EVERY)
def test_rows_share_runs_and_come_out_as_alone(name: str, model_file: ModelFile) -> None:
    model = load(model_file(EVERY[name]()), None)
    assert model.joins_rows, model.sharing.reason
    hostile = np.full((5, WIDTH), [[1e6], [-1e30], [np.nan], [np.inf], [1e-40]], np.float32)
    most = model.sharing.most_rows
    for size in (1, 2, 5, most - 6):
        crowd = np.concatenate([hostile, ROWS[:size], ROWS[:1]])[-most:]
        together = _answers(model, crowd)
        alone = _answers(model, ROWS[:size])
        assert [output[-size - 1 : -1] for output in together] == alone


@pytest.mark.parametrize("name", SUMMING_BY_PLACE)
def test_rows_whose_last_bits_depend_on_their_place_run_alone(name: str, model_file: ModelFile) -> None:
    model = load(model_file(SUMMING_BY_PLACE[name]()), None)
    assert not model.joins_rows
    assert model.sharing.reason == "operator ReduceSum rounds by where in memory a row begins"


def test_a_dynamically_quantized_model_shares_no_runs(
    model_file: ModelFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    model = load(model_file(libraries.quantized(tmp_path)), None)
    assert not model.joins_rows
    assert "DynamicQuantizeLinear" in model.sharing.reason
