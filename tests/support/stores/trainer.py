"""A trainer of the user's own that stays a while, so that a test can look around in its container."""

from __future__ import annotations

from typing import Any

from support.kubectl import Object
from support.manifests import own_trainer

CSV = "age,visits,churned\n" + "".join(f"{20 + n % 50},{n % 7},{int(n % 50 > 25)}\n" for n in range(400))
PROGRAM = """
import json, os, time
import numpy as np, pandas as pd
from onnx import helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression
rows = pd.read_parquet("/data/train/train.parquet")
x, y = rows[["age", "visits"]].to_numpy(np.float32), rows["churned"]
model = LogisticRegression().fit(x, y)
shape = [("input", FloatTensorType([None, 2]))]
options, opset = {id(model): {"zipmap": False}}, {"": 17, "ai.onnx.ml": 3}
onnx = convert_sklearn(model, name="churn", initial_types=shape, options=options, target_opset=opset)
texts = {"dev.modelwright.features": json.dumps(["age", "visits"]),
         "dev.modelwright.classes": json.dumps([int(each) for each in model.classes_]),
         "dev.modelwright.task": "Classification"}
helper.set_model_props(onnx, texts)
time.sleep(float(os.environ["STAY"]))
open("/model/model.onnx", "wb").write(onnx.SerializeToString(deterministic=True))
"""


def staying_trainer(name: str, *, stay: float = 0, **spec: Any) -> Object:
    """A TrainingJob whose trainer learns from CSV, and then stays for so many seconds."""
    made = own_trainer("python3", "-c", PROGRAM, name=name, **spec)
    made["spec"]["trainer"]["env"] = [{"name": "STAY", "value": str(stay)}]
    return made
