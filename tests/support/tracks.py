"""Asks a served model one question after the other, and tells which version and which revision's pods answered."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import cycle
from typing import Any

import grpc
import numpy as np

pb: Any = import_module("tritonclient.grpc.service_pb2")

PATIENCE_SECONDS = 60
_INFER = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True)
class Given:
    """An answer: by which version, and on which track (`stable`, `canary`, empty where no rollout runs)."""

    version: str
    track: str


class Asker:
    """Asks by HTTP on a connection that it keeps, by HTTP on a new one, and by gRPC, in turns."""

    def __init__(self, address: str, model: str, body: dict[str, Any]) -> None:
        self._address, self._model, self._body = address, model, body
        self._kept = self._connection()
        self._channel = grpc.insecure_channel(f"{address}:8081")
        self._turns = cycle((self._by_http, self._by_new_http, self._by_grpc))

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()
        self._channel.close()

    def ask(self, headers: Mapping[str, str] | None = None) -> Given:
        """One request, with these headers."""
        return next(self._turns)(dict(headers or {}))

    def tracks(self, count: int, headers: Mapping[str, str] | None = None) -> list[str]:
        """Who answered so many requests in a row."""
        return [self.ask(headers).track for _ in range(count)]

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address, 80, timeout=PATIENCE_SECONDS)

    def _by_new_http(self, headers: dict[str, str]) -> Given:
        connection = self._connection()
        try:
            return self._by_http(headers, connection)
        finally:
            connection.close()

    def _by_http(
        self, headers: dict[str, str], connection: http.client.HTTPConnection | None = None
    ) -> Given:
        used = connection or self._kept
        used.request("POST", f"/v2/models/{self._model}/infer", json.dumps(self._body), headers)
        answer = used.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return Given(json.loads(content)["model_version"], answer.getheader("modelwright-track", ""))

    def _by_grpc(self, headers: dict[str, str]) -> Given:
        request = pb.ModelInferRequest(model_name=self._model)
        for tensor in self._body["inputs"]:
            request.inputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
            request.raw_input_contents.append(np.array(tensor["data"], np.float32).tobytes())
        metadata = tuple((name.lower(), value) for name, value in headers.items())
        call: Any = self._channel.unary_unary(_INFER, pb.ModelInferRequest.SerializeToString)
        content, done = call.with_call(request, timeout=PATIENCE_SECONDS, metadata=metadata)
        told = dict(done.initial_metadata())
        return Given(
            pb.ModelInferResponse.FromString(content).model_version, told.get("modelwright-track", "")
        )
