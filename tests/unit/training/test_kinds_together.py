"""Numbers, dates, categories and texts in one table: each has its nodes in the model, and all fit one file."""

import pandas as pd
import pytest
from unit.training.pod import Pod

BOOSTED = {"n_estimators": 20, "min_child_samples": 2}


@pytest.mark.parametrize(
    ("estimator", "parameters"),
    [("sklearn.linear_model.LogisticRegression", {}), ("lightgbm.LGBMClassifier", BOOSTED)],
)
def test_every_kind_of_column_at_once_keeps_parity(
    pod: Pod, estimator: str, parameters: dict[str, int]
) -> None:
    words = [f"parcel {('broken', 'fine')[row % 2]} again {row % 7}" for row in range(80)]
    frame = pd.DataFrame(
        {
            "amount": [(row * 37 % 101) / 4 for row in range(80)],
            "clicked": [1_700_000_000 + row * 7919 % 86_400 for row in range(80)],
            "joined": [f"2025-{row % 12 + 1:02}-{row % 28 + 1:02}" for row in range(80)],
            "plan": [("free", "pro", "team")[row % 3] for row in range(80)],
            "remark": words,
            "y": [("no", "yes")[row % 2] for row in range(80)],
        }
    )
    pod.given(
        estimator=estimator, parameters=parameters, data={"schema": {"remark": {"type": "text"}}}
    ).given_rows(frame)

    assert [pod.run(step).code for step in ("fetch", "train")] == [0, 0]
    published = pod.run("publish").result

    assert published["parity"]["verdict"] == "Pass"
    assert {tensor["name"]: tensor["datatype"] for tensor in published["signature"]["inputs"]} == {
        "amount": "FP32", "clicked": "FP64", "joined": "BYTES", "plan": "BYTES", "remark": "BYTES",
    }  # fmt: skip
