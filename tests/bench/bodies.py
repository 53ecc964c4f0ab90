"""Inference requests as callers send them: JSON, and binary tensors behind a JSON header."""

from __future__ import annotations

import itertools

import numpy as np
import orjson
import peers
from bench.model import Model, Rows
from bench.wrk import Request

NAME = peers.MODEL
INFER = f"/v2/models/{NAME}/infer"
BODIES = 64
# KServe's SDK answers a request without one with 500.
ID = "1"
Asked = tuple[Rows, Request]


def batches(model: Model, rows: int, count: int = BODIES) -> list[Rows]:
    """So many different batches of the model's rows."""
    around = np.tile(model.rows, (1 + count * rows // len(model.rows), 1))
    return [around[start : start + rows] for start in itertools.islice(itertools.count(0, rows), count)]


def as_json(model: Model, rows: Rows) -> Request:
    tensor = {**_tensor(model, rows), "data": rows.reshape(-1).tolist()}
    return Request(
        INFER, orjson.dumps({"id": ID, "inputs": [tensor]}), (("Content-Type", "application/json"),)
    )


def as_binary(model: Model, rows: Rows) -> Request:
    """Binary both ways."""
    content = rows.astype("<f4").tobytes()
    tensor = {**_tensor(model, rows), "parameters": {"binary_data_size": len(content)}}
    header = orjson.dumps({"id": ID, "inputs": [tensor], "parameters": {"binary_data_output": True}})
    length = ("Inference-Header-Content-Length", str(len(header)))
    return Request(INFER, header + content, (("Content-Type", "application/octet-stream"), length))


def bad(model: Model) -> list[Request]:
    """What a service gets besides: each is refused, in a way of its own."""
    good = as_json(model, model.rows[:1])
    narrow = as_json(model, model.rows[:1, 1:])
    return [
        Request(INFER, good.body[:-5], good.headers),
        narrow,
        Request("/v2/models/another/infer", good.body, good.headers),
        Request(INFER, b"", method="GET"),
    ]


def _tensor(model: Model, rows: Rows) -> dict[str, object]:
    return {"name": model.input_name, "shape": list(rows.shape), "datatype": "FP32"}
