"""ONNX Runtime behind four functions: a session from bytes, its signature, a run within its memory, its errors.

The only module that imports onnxruntime; what a model has to pass before it serves is left to `model`.
"""

import os

# Builds for Linux report usage over the network unless this is set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from types import MappingProxyType
from typing import Any

from onnxruntime import (
    InferenceSession,
    NodeArg,
    OrtAllocatorType,
    OrtArenaCfg,
    OrtMemoryInfo,
    OrtMemType,
    RunOptions,
    SessionOptions,
    create_and_register_allocator,
)
from onnxruntime.capi import onnxruntime_pybind11_state as native

from modelwright_serving import wrapped
from modelwright_serving.failures import StepError
from modelwright_serving.oip.signature import NUMPY_TYPES, ONNX_TYPES, Signature, TensorSpec
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.wrapped import Wrapper

DEFAULT_MEMORY = 1024**3

# ONNX Runtime's exceptions have no base of their own.
RunFailed: tuple[type[Exception], ...] = (
    MemoryError,
    ValueError,
    RuntimeError,
    *(kind for kind in vars(native).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)

_PROPERTY_PREFIX = "dev.modelwright."
_MAX_PROPERTY = 256 * 1024
# No folder of this name can exist, so data outside the model's own bytes is never found.
_NO_FOLDER = "/dev/null/modelwright"
_GIVE_BACK = RunOptions()
_GIVE_BACK.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
_GIVE_BACK.terminate = True


class Session(InferenceSession):  # type: ignore[misc]  # onnxruntime is not typed
    """A model that is loaded; `wrapped` are its outputs that are no tensors, by position."""

    wrapped: Mapping[int, Wrapper] = MappingProxyType({})

    def answer(self, feed: Mapping[str, Tensor], options: RunOptions | None) -> list[Any]:
        """All outputs as ONNX Runtime has them; spares the checks of `run`, a fifth of a small run."""
        outputs: list[Any] = self._sess.run(self._names, feed, options)
        return outputs

    def give_back(self) -> None:
        """Free what the arena keeps of earlier runs, by a run that ends before its first node."""
        with suppress(*RunFailed):
            self._sess.run(self._names, {}, _GIVE_BACK)

    @cached_property
    def _names(self) -> list[str]:
        return [output.name for output in self.get_outputs()]


def open_session(content: bytes, memory: int = DEFAULT_MEMORY) -> Session:
    """A single-threaded session from the model's bytes alone: no files beside it, no custom operators.

    `memory` bounds what runs take, in bytes, beside the weights. StepError if the model cannot be served, MemoryError
    if there is too little memory to load it.
    """
    options = SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_FOLDER)
    # An arena of its own has no bound in a session. The last one that is registered counts.
    arena = OrtMemoryInfo("Cpu", OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, OrtMemType.DEFAULT)
    create_and_register_allocator(arena, OrtArenaCfg({"max_mem": memory}))
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        session = Session(content, sess_options=options, providers=["CPUExecutionProvider"])
    except RunFailed as error:
        raise _refusal(error) from error
    session.wrapped = wrapped.find(content, [(output.name, output.type) for output in session.get_outputs()])
    return session


def signature_of(session: Session) -> Signature:
    """What the session's model takes and gives; StepError(UnsupportedModel) if the protocol cannot say it.

    The classes that the model itself names count more than those of its dictionaries.
    """
    labels = wrapped.classes(session.wrapped)
    known = {} if labels is None else {"classes": labels}
    found = session.get_modelmeta().custom_metadata_map
    carried = {
        key.removeprefix(_PROPERTY_PREFIX): value
        for key, value in found.items()
        if key in {f"{_PROPERTY_PREFIX}{name}" for name in ("classes", "features", "formats", "task")}
    }
    properties = {
        key: value for key, value in sorted({**known, **carried}.items()) if len(value) <= _MAX_PROPERTY
    }
    inputs = tuple(_spec("input", item) for item in session.get_inputs())
    outputs = tuple(
        spec
        for position, item in enumerate(session.get_outputs())
        for spec in (
            session.wrapped[position].specs() if position in session.wrapped else [_spec("output", item)]
        )
    )
    if not inputs or not outputs:
        raise StepError(
            "UnsupportedModel", "the model has no inputs or no outputs, so there is nothing to serve"
        )
    return Signature(inputs, outputs, properties)


class Stop:
    """Ends a run from another thread: ONNX Runtime looks at it between two nodes of the model."""

    def __init__(self) -> None:
        self.options = RunOptions()

    @property
    def called(self) -> bool:
        stopped: bool = self.options.terminate
        return stopped

    def set(self) -> None:
        self.options.terminate = True


def run(
    session: Session, signature: Signature, inputs: list[Tensor], stop: Stop | None = None
) -> list[Tensor]:
    """All outputs, in the signature's order; MemoryError if the run needs more memory than the model may take."""
    feed = {spec.name: tensor for spec, tensor in zip(signature.inputs, inputs, strict=True)}
    try:
        outputs = session.answer(feed, stop and stop.options)
    except RunFailed as error:
        if not _lacks_memory(error):
            raise
        session.give_back()
        outputs = _last_try(session, feed, stop)
    return wrapped.opened(outputs, session.wrapped) if session.wrapped else outputs


def _last_try(session: Session, feed: Mapping[str, Tensor], stop: Stop | None) -> list[Any]:
    """A run with all of the memory: what earlier runs had left may have been in too small pieces."""
    try:
        return session.answer(feed, stop and stop.options)
    except RunFailed as error:
        if _lacks_memory(error):
            raise MemoryError("a run needs more memory than the model may take") from error
        raise


def _lacks_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(mark in str(error) for mark in ("bfc_arena", "bad_alloc"))


def blames_input(error: Exception) -> bool:
    """Whether the caller's values are at fault; all other failures are the model's."""
    return isinstance(error, native.InvalidArgument) or misses_category(error)


def misses_category(error: Exception) -> bool:
    """Whether the model has met a category that it was not trained on."""
    return "Unknown Category" in str(error)


def said(error: Exception) -> str:
    """What ONNX Runtime said, without its source paths and C++ signatures, which mean nothing outside it.

    A model that refuses a value says why in the name of the node that fails; then that is all.
    """
    refused = re.search(r"Name:'refused: (.*)' Status Message: ", str(error), re.DOTALL)
    if refused:
        return refused[1][:600]
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error))
    text = re.sub(r"/onnxruntime_src/\S+:\d+ .*?\) (?=[A-Z\[])", "", text)
    return " ".join(text.split())[:600]


def _refusal(error: Exception) -> Exception:
    if _lacks_memory(error):
        return MemoryError("loading it needs more memory than there is")
    if isinstance(error, native.InvalidProtobuf):
        return StepError("NotOnnx", "the model file is not ONNX: its bytes are no ONNX protobuf")
    if isinstance(error, native.NoModel | native.InvalidArgument):
        return StepError("NotOnnx", f"the model file is not ONNX: {said(error)}")
    return StepError("UnsupportedModel", _unloadable(said(error)))


def _unloadable(complaint: str) -> str:
    """What to do about the two refusals that users meet: weights in a second file, and operators of their own."""
    if "ZipMap" in complaint:
        return f"{complaint}; export it with the option zipmap=False, so that probabilities are a tensor"
    if "xternal data" in complaint:
        path = re.search(rf'xternal data path.*?: "(?:{_NO_FOLDER}/)?([^"]+)"', complaint)
        return (
            f"the model keeps weights in a second file{f' ({path[1]})' if path else ''}, but a model is one file, "
            "known by its digest; "
            "save it as one: onnx.save_model(onnx.load(PATH), PATH, save_as_external_data=False)"
        )
    locale = re.search(r"construct locale with name:([\w.@-]+)", complaint)
    if locale:
        return (
            f"the model's StringNormalizer needs the locale {locale[1]}, which this machine does not have; the images "
            "have en_US.UTF-8, which it takes if its attribute locale is left out"
        )
    custom = re.search(r"(\S+)\(-?\d+\) is not a registered function/op", complaint)
    if custom:
        return (
            f"the model uses the operator {custom[1]}, which is no part of ONNX; such operators are code, "
            "which is never loaded with a model: export it with the operators of ONNX and ai.onnx.ml"
        )
    return f"ONNX Runtime cannot load the model: {complaint}"


def _spec(kind: str, item: NodeArg) -> TensorSpec:
    datatype = ONNX_TYPES.get(item.type)
    if datatype is None:
        raise StepError(
            "UnsupportedModel",
            f"{kind} {item.name!r} is of type {item.type}, but requests and responses hold "
            f"tensors of {', '.join(NUMPY_TYPES)} only; {_way_out(kind, item.type)}",
        )
    # A dimension without a fixed size is a name or None; a scalar has no dimensions at all.
    return TensorSpec(
        item.name, datatype, tuple(size if isinstance(size, int) and size > 0 else -1 for size in item.shape)
    )


def _way_out(kind: str, found: str) -> str:
    if found.startswith(("seq(map(", "map(")):
        return "export it with the option zipmap=False, so that probabilities are a tensor"
    if found.startswith("seq("):
        return f"make each item of the sequence an {kind} of its own"
    if found.startswith("sparse_tensor("):
        return f"make this {kind} a dense tensor"
    if found.startswith("optional("):
        return f"make this {kind} a tensor that is always there"
    return f"let the model cast this {kind}"
