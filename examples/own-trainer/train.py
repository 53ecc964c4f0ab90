"""Trains a small neural network with scikit-learn and writes it as ONNX: the program of an image of your own.

In a pod the folders are at /; `modelwright try` names another root by MODELWRIGHT_ROOT.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
from onnx import helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROOT = Path(os.environ.get("MODELWRIGHT_ROOT", "/"))
TARGET, SEED = os.environ["MODELWRIGHT_TARGET"], int(os.environ["MODELWRIGHT_SEED"])
HIDDEN = int(os.environ["HIDDEN"])

rows = pd.read_parquet(ROOT / "data/train/train.parquet")
# Requests come as float32, so the network sees the same numbers.
x, y = rows.drop(columns=TARGET).to_numpy(np.float32), rows[TARGET]
network = make_pipeline(StandardScaler(), MLPClassifier((HIDDEN,), max_iter=2000, random_state=SEED)).fit(
    x, y
)

model = convert_sklearn(
    network,
    name="iris",  # without a name it gets a random one, and each run another digest
    initial_types=[("input", FloatTensorType([None, x.shape[1]]))],
    options={id(network): {"zipmap": False}},  # probabilities as a plain matrix
    target_opset={"": 17, "ai.onnx.ml": 3},
)
# What each position of the matrix is, and what the labels mean.
helper.set_model_props(
    model,
    {
        "dev.modelwright.features": json.dumps([name for name in rows.columns if name != TARGET]),
        "dev.modelwright.classes": json.dumps(network.classes_.tolist()),
        "dev.modelwright.task": "Classification",
    },
)
(ROOT / "model/model.onnx").write_bytes(model.SerializeToString(deterministic=True))

# What the library itself predicts for all rows to learn from: publish compares the ONNX file with it.
np.savez(
    ROOT / "model/reference.npz",
    rows=np.arange(len(x)),
    labels=network.predict(x),
    probabilities=network.predict_proba(x).astype(np.float64),
)
