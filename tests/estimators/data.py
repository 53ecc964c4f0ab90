"""Tables to try estimators on: numbers with gaps, categories, and a target that neither decides alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

Target = Literal["two", "many", "regression"]


def mixed(target: Target, rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Five numbers, two categories and the target `y`: two or four classes, or a positive number."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "age": random.integers(18, 90, rows).astype(float),
        "fee": random.gamma(2.0, 20.0, rows).round(2),
        "calls": random.poisson(3, rows).astype(float),
        "usage": random.normal(0, 1, rows).round(4),
        "trend": random.normal(5, 2, rows).round(4),
        "plan": random.choice(["free", "pro", "größer"], rows),
        "region": random.choice(["eu", "us", "asia", ""], rows, p=[0.4, 0.3, 0.2, 0.1]),
    })  # fmt: skip
    score = (
        frame["age"] / 30
        - frame["fee"] / 40
        + (frame["plan"] == "pro")
        + frame["usage"]
        + random.normal(0, 0.5, rows)
    )
    if target == "regression":
        frame["y"] = np.exp(score / 3).round(4)
    elif target == "two":
        frame["y"] = np.where(score > score.median(), "stays", "leaves")
    else:
        frame["y"] = np.array(["a", "b", "c", "d"])[np.digitize(score, score.quantile([0.3, 0.5, 0.8]))]
    frame.loc[::11, "age"] = np.nan
    frame.loc[::17, "fee"] = np.nan
    return frame
