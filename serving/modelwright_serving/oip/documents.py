"""The protocol's small documents: metadata, configuration, statistics, health, errors. Routing is left to `http`."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from modelwright_serving.limits import MAX_BATCH_SIZE
from modelwright_serving.oip.signature import Signature, TensorSpec

PLATFORM = "onnx_onnxv1"
RECORDS = "modelwright_records"
EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository", "statistics", RECORDS]
# To whoever wants a model loaded or unloaded.
ONE_MODEL = (
    "this server serves the one model that it was started with; to serve another, start a server with it - "
    "on Kubernetes, change spec.model of the InferenceService, and the new model is rolled out"
)


@dataclass(frozen=True)
class Totals:
    """What has happened since the start; `last_run` is seconds since the epoch, 0 before the first.

    `infer_seconds` counts a run once for each request that shared it, as Triton does.
    """

    succeeded: int
    succeeded_seconds: float
    failed: int
    failed_seconds: float
    rows: int
    runs: int
    queued: int
    queue_seconds: float
    inferred: int
    decode_seconds: float
    infer_seconds: float
    encode_seconds: float
    last_run: float


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


def configuration(name: str, digest: str, signature: Signature, *, joins_rows: bool) -> bytes:
    """The model in the terms of Triton's configuration, as its tools ask for it."""
    batches = signature.has_row_dimension
    return orjson.dumps(
        {
            "name": name,
            "platform": "onnxruntime_onnx",
            "backend": "onnxruntime",
            "version_policy": {"latest": {"num_versions": 1}},
            "max_batch_size": min(signature.max_rows, MAX_BATCH_SIZE) if batches else 0,
            "input": [_configured(spec, _GIVEN, batches=batches) for spec in signature.inputs],
            "output": [_configured(spec, _TAKEN, batches=batches) for spec in signature.outputs],
            "instance_group": [{"name": name, "kind": "KIND_CPU", "count": 1}],
            "model_transaction_policy": {"decoupled": False},
            "parameters": {"digest": {"string_value": digest}},
            **({"dynamic_batching": {}} if joins_rows else {}),
        }
    )


def statistics(name: str, version: str, totals: Totals) -> bytes:
    """What the model has done so far, by Triton's stages."""
    entry = {
        "name": name,
        "version": version,
        "last_inference": int(totals.last_run * 1e3),
        "inference_count": totals.rows,
        "execution_count": totals.runs,
        "inference_stats": {
            "success": _duration(totals.succeeded, totals.succeeded_seconds),
            "fail": _duration(totals.failed, totals.failed_seconds),
            "queue": _duration(totals.queued, totals.queue_seconds),
            "compute_input": _duration(totals.inferred, totals.decode_seconds),
            "compute_infer": _duration(totals.inferred, totals.infer_seconds),
            "compute_output": _duration(totals.inferred, totals.encode_seconds),
            "cache_hit": _duration(0, 0),
            "cache_miss": _duration(0, 0),
        },
        "batch_stats": [],
    }
    return orjson.dumps({"model_stats": [entry]})


def index(name: str, version: str, problem: str | None, *, only_ready: bool = False) -> bytes:
    """The models of this server, which is one; `problem` says why it takes no requests, if it does not."""
    if problem is not None and only_ready:
        return b"[]"
    state = "READY" if problem is None else "UNAVAILABLE"
    return orjson.dumps([{"name": name, "version": version, "state": state, "reason": problem or ""}])


# Triton writes these whether they say anything or not, so its clients count on them.
_GIVEN = {
    "format": "FORMAT_NONE",
    "is_shape_tensor": False,
    "allow_ragged_batch": False,
    "optional": False,
}
_TAKEN = {"label_filename": "", "is_shape_tensor": False}


def _configured(spec: TensorSpec, usual: Mapping[str, object], *, batches: bool) -> dict[str, object]:
    kind = "STRING" if spec.datatype == "BYTES" else spec.datatype
    return {
        "name": spec.name,
        "data_type": f"TYPE_{kind}",
        "dims": list(spec.shape[1:] if batches else spec.shape),
        **usual,
    }


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": int(seconds * 1e9)}


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}
