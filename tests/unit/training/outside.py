"""Stores outside the cluster for the steps of a pod: real servers, and the document and files that reach them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.stores.azurite import azurite
from support.stores.gcs import cloud_storage
from support.stores.registries import registry
from support.stores.s3 import gateway
from unit.training.pod import Json, Pod

from modelwright_training.storing.stores import Store, store_of


@dataclass
class Place:
    """A store that exists: the uri of its artifacts, its endpoint, and the keys of its Secret."""

    uri: str
    endpoint: str
    keys: Mapping[str, str]
    entry: Json = field(default_factory=dict)

    def environ(self, pod: Pod, name: str = "artifacts") -> dict[str, str]:
        """Mount the Secret in a pod; what the environment of a step says of the store."""
        secret = pod.root / "etc/modelwright/stores" / name / "secret"
        secret.mkdir(parents=True, exist_ok=True)
        for key, value in self.keys.items():
            (secret / key).write_text(value)
        named = {"secret": "models"} if self.keys else {}
        entry = {
            "field": "artifacts.store",
            "endpoint": self.endpoint,
            "trusted": True,
            **named,
            **self.entry,
        }
        return {"MODELWRIGHT_STORES": json.dumps({"networks": ["127.0.0.0/8"], "stores": {name: entry}})}

    def store(self, pod: Pod) -> Store:
        return store_of(self.uri, "artifacts.uri", self.environ(pod), pod.paths)

    def publish(self, pod: Pod, **environ: str) -> Any:
        pod.document["artifacts"] = {"uri": self.uri}
        return pod.run("publish", **self.environ(pod), **environ)


@contextmanager
def place(kind: str, folder: Path) -> Iterator[Place]:
    """A running store for artifacts: s3, az, gs or oci."""
    if kind == "s3":
        with gateway(folder) as s3:
            s3.bucket("models")
            yield Place("s3://models/team/churn", s3.endpoint, s3.keys.secret_data())
    elif kind == "az":
        with azurite(folder) as azure:
            azure.container("models")
            yield Place("az://models/team/churn", azure.endpoint, azure.secret_data())
    elif kind == "gs":
        with cloud_storage() as google:
            google.bucket("models")
            yield Place("gs://models", google.endpoint, {"key.json": google.service_account()})
    else:
        with registry(folder) as images:
            yield Place(f"oci://{images.host}/team/churn", images.endpoint, {})
