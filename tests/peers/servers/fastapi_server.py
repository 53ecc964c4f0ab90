"""A server as a good engineer writes it by hand: FastAPI, a pydantic body, ONNX Runtime on one thread, orjson.

Arguments: model file, model name, HTTP port, gRPC port (unused).
"""

import sys
from typing import Annotated, Any

import numpy as np
import onnxruntime as ort
import orjson
import uvicorn
from fastapi import FastAPI, HTTPException, Path, Response
from pydantic import BaseModel

MODEL, NAME, HTTP_PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
TYPES = {
    "FP32": np.float32,
    "FP64": np.float64,
    "INT64": np.int64,
    "INT32": np.int32,
    "BOOL": np.bool_,
    "BYTES": np.object_,
}
DATATYPES = {
    "float32": "FP32",
    "float64": "FP64",
    "int64": "INT64",
    "int32": "INT32",
    "bool": "BOOL",
    "object": "BYTES",
}


class Tensor(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class InferRequest(BaseModel):
    id: str | None = None
    inputs: list[Tensor]


def open_session() -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


session = open_session()
output_names = [output.name for output in session.get_outputs()]
app = FastAPI(openapi_url=None)


@app.get("/v2/models/{name}/ready")
async def ready(name: Annotated[str, Path()]) -> dict[str, Any]:
    if name != NAME:
        raise HTTPException(404)
    return {"name": NAME, "ready": True}


@app.post(f"/v2/models/{NAME}/infer")
async def infer(request: InferRequest) -> Response:
    feed: dict[str, Any] = {
        tensor.name: np.array(tensor.data, dtype=TYPES[tensor.datatype]).reshape(tensor.shape)
        for tensor in request.inputs
    }
    results = session.run(output_names, feed)
    outputs = [
        {
            "name": name,
            "shape": result.shape,
            "datatype": DATATYPES[result.dtype.name],
            "data": result.ravel() if result.dtype != np.object_ else result.ravel().tolist(),
        }
        for name, result in zip(output_names, results, strict=True)
    ]
    answer = {"model_name": NAME, "id": request.id, "outputs": outputs}
    return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=HTTP_PORT,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
    )
