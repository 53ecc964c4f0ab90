"""The protocol's small documents: metadata, health, errors. Routing to them is left to `http`."""

import orjson

from modelwright_serving.oip.signature import Signature, TensorSpec

PLATFORM = "onnx_onnxv1"
EXTENSIONS = ["binary_tensor_data"]


def error(message: str) -> bytes:
    """Every error, whatever its status."""
    return orjson.dumps({"error": message})


def server(version: str) -> bytes:
    """Server metadata."""
    return orjson.dumps({"name": "modelwright-serving", "version": version, "extensions": EXTENSIONS})


def models(name: str) -> bytes:
    """The names of all models: one."""
    return orjson.dumps({"models": [name]})


def live() -> bytes:
    """The process works."""
    return orjson.dumps({"live": True})


def ready() -> bytes:
    """Inference requests are welcome."""
    return orjson.dumps({"ready": True})


def not_ready(reason: str, message: str) -> bytes:
    """Inference requests should go elsewhere, and why."""
    return orjson.dumps({"ready": False, "reason": reason, "error": message})


def model_ready(name: str) -> bytes:
    """The model takes requests."""
    return orjson.dumps({"name": name, "ready": True})


def model(name: str, version: str, digest: str, signature: Signature) -> bytes:
    """Model metadata: what the model takes and gives, and what it carries about itself."""
    return orjson.dumps(
        {
            "name": name,
            "versions": [version],
            "platform": PLATFORM,
            "inputs": [_tensor(spec) for spec in signature.inputs],
            "outputs": [_tensor(spec) for spec in signature.outputs],
            # The protocol's parameters are scalars, so lists stay the JSON text that the model carries.
            "parameters": {"digest": digest, **signature.properties},
        }
    )


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}
