"""MLServer with one ONNX model as a custom runtime, in one process, REST and gRPC; one ONNX Runtime thread, no logs.

Arguments: model file, model name, HTTP port, gRPC port.
"""

import asyncio
import logging
import sys
from typing import Any

import numpy as np
import onnxruntime as ort
import uvloop
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse, MetadataTensor, RequestInput, ResponseOutput

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


class OnnxModel(MLModel):
    """Inputs by the codecs that fit their datatypes; the outputs that were asked for, or all."""

    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
        self.output_names = [output.name for output in self.session.get_outputs()]
        self.inputs = [_described(one) for one in self.session.get_inputs()]
        self.outputs = [_described(one) for one in self.session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feed = {tensor.name: self._values(tensor) for tensor in payload.inputs}
        wanted = [output.name for output in payload.outputs or []] or self.output_names
        results = self.session.run(wanted, feed)
        outputs = [_encoded(name, result) for name, result in zip(wanted, results, strict=True)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)

    def _values(self, tensor: RequestInput) -> Any:
        """By NumPy's codec; not texts, which it takes for one block of bytes."""
        if tensor.datatype != "BYTES":
            return self.decode(tensor, default_codec=NumpyCodec)
        elements = np.array(tensor.data.root, dtype=object).ravel()
        texts = [each.decode() if isinstance(each, bytes) else each for each in elements]
        return np.array(texts, dtype=object).reshape(tensor.shape)


def _encoded(name: str, result: Any) -> ResponseOutput:
    if result.dtype == object:
        output = StringCodec.encode_output(name, result.ravel().tolist())
    else:
        output = NumpyCodec.encode_output(name, result)
    output.shape = list(result.shape)  # the codecs make [n] into [n, 1]
    return output


def _described(one: Any) -> MetadataTensor:
    shape = [size if isinstance(size, int) else -1 for size in one.shape]
    return MetadataTensor(name=one.name, datatype=DATATYPES[one.type], shape=shape)


async def serve() -> None:
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=HTTP_PORT,
        grpc_port=GRPC_PORT,
        grpc_max_message_length=-1,
        metrics_endpoint=None,
        parallel_workers=0,
        load_models_at_startup=False,
    )
    server = MLServer(settings)
    parameters = ModelParameters(version="7")
    model = ModelSettings(
        name=NAME,
        implementation=OnnxModel,
        platform="onnx_onnxv1",
        versions=["7"],
        parameters=parameters,
    )
    logging.disable(logging.INFO)
    await server.start([model])


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(serve())
