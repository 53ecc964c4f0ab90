"""One row as an honest caller asks for it, over HTTP and gRPC; and hostile requests in the same forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from tritonclient.grpc import service_pb2 as pb

NAME = "churn"
Array = npt.NDArray[Any]
INFER = f"/v2/models/{NAME}/infer"
DATATYPES = {"float32": "FP32", "int64": "INT64"}


def document(name: str, rows: Array) -> bytes:
    """An inference request in JSON."""
    return orjson.dumps({"inputs": [{**tensor(name, rows), "data": rows.reshape(-1).tolist()}]})


def message(name: str, rows: Array) -> bytes:
    """An inference request as the protobuf message of gRPC, with raw contents."""
    inputs = [pb.ModelInferRequest.InferInputTensor(**tensor(name, rows))]
    request = pb.ModelInferRequest(model_name=NAME, inputs=inputs, raw_input_contents=[rows.tobytes()])
    return bytes(request.SerializeToString())


def tensor(name: str, rows: Array) -> dict[str, Any]:
    return {"name": name, "datatype": DATATYPES[str(rows.dtype)], "shape": list(rows.shape)}


def post(body: bytes, path: str = INFER, **headers: str) -> bytes:
    """A request as the wire has it; an underscore in a header's name stands for a dash."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return (
        f"POST {path} HTTP/1.1\r\nHost: attack\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body
    )


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: attack\r\n\r\n".encode()


def zeros(rows: int) -> tuple[bytes, bytes]:
    """The JSON header and the binary tensor of so many rows of one feature."""
    size = 4 * rows
    header = {"inputs": [{**tensor("X", np.zeros((1, 1), np.float32)), "shape": [rows, 1]}]}
    header["inputs"][0]["parameters"] = {"binary_data_size": size}
    return orjson.dumps(header), bytes(size)
