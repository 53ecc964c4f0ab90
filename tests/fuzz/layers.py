"""The layers that are fuzzed, by name."""

from __future__ import annotations

from collections.abc import Callable

from fuzz.engine import Layer
from fuzz.grpc_layer import GrpcLayer
from fuzz.http_layer import HttpLayer
from fuzz.oip_layer import OipLayer

LAYERS: dict[str, Callable[[], Layer]] = {
    "http": HttpLayer,
    "oip": OipLayer,
    "grpc": GrpcLayer,
}
