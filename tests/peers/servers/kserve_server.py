"""KServe's model server with one ONNX model, as its SDK documents a custom model; one ONNX Runtime thread, no logs.

Arguments: model file, model name, HTTP port, gRPC port.
"""

import logging
import sys
from typing import Any

import numpy as np
import onnxruntime as ort
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.utils.numpy_codec import from_np_dtype
from kserve.utils.utils import generate_uuid

MODEL, NAME, HTTP_PORT, GRPC_PORT = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
    **{
        f"tensor({sign}int{bits})": f"{sign}int{bits}".upper()
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}


class OnnxModel(Model):
    """All inputs in, all outputs out, in the model's own types."""

    def __init__(self) -> None:
        super().__init__(NAME)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
        self.output_names = [output.name for output in self.session.get_outputs()]
        self.ready = True

    async def get_input_types(self) -> list[dict[str, Any]]:
        return [_described(one) for one in self.session.get_inputs()]

    async def get_output_types(self) -> list[dict[str, Any]]:
        return [_described(one) for one in self.session.get_outputs()]

    async def predict(
        self, payload: InferRequest, headers: Any = None, response_headers: Any = None
    ) -> InferResponse:
        feed = {tensor.name: _values(tensor) for tensor in payload.inputs}
        outputs = []
        for name, result in zip(self.output_names, self.session.run(self.output_names, feed), strict=True):
            output = InferOutput(name, list(result.shape), from_np_dtype(result.dtype))
            output.set_data_from_numpy(result, binary_data=payload.use_binary_outputs)
            outputs.append(output)
        return InferResponse(
            payload.id or generate_uuid(),
            NAME,
            outputs,
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


def _values(tensor: InferInput) -> Any:
    """The array; texts arrive as str in JSON and as bytes otherwise, and ONNX Runtime wants str."""
    values = tensor.as_numpy()
    if tensor.datatype != "BYTES":
        return values
    texts = [each.decode() if isinstance(each, bytes) else each for each in values.ravel()]
    return np.array(texts, dtype=object).reshape(values.shape)


def _described(one: Any) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else -1 for size in one.shape]
    return {"name": one.name, "datatype": DATATYPES[one.type], "shape": shape}


if __name__ == "__main__":
    server = ModelServer(
        http_port=HTTP_PORT,
        grpc_port=GRPC_PORT,
        workers=1,
        enable_latency_logging=False,
        event_loop="uvloop",
    )
    logging.disable(logging.INFO)
    server.start([OnnxModel()])
