"""A serving pod's container `pull`, as a process of its own or in this one."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from modelwright_serving import outside
from modelwright_serving.failures import StepError
from modelwright_serving.outside import Pace, Wanted

CONTENT = random.Random(0).randbytes(3 << 20)
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "contracts" / "step.schema.json").read_text())
SOON = 15.0
QUICK = Pace(silent=1, first=0.05, longest=0.1, total=20)


class Pod:
    """A pod whose container `pull` can be started again and again, and whose model lies outside the cluster."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.root, self.to, self.log, self.uri = folder / "root", folder / "model", folder / "log", uri
        self.to.mkdir(parents=True)
        self.mounted = self.root / "etc/modelwright/stores/artifacts"
        (self.mounted / "secret").mkdir(parents=True)
        self.entry: dict[str, Any] = {"field": "artifact.store"}
        self.networks = ["127.0.0.0/8"]

    def trusts(self, authority: bytes) -> None:
        """The spec names a ConfigMap with these certificates."""
        (self.mounted / "ca.crt").write_bytes(authority)
        self.entry["authority"] = "ca.crt of ConfigMap corp-ca"

    def has(self, secret: Mapping[str, str]) -> None:
        """The spec names a Secret, which has these keys."""
        self.entry["secret"] = "lake"
        for key, value in secret.items():
            (self.mounted / "secret" / key).write_text(value)

    @property
    def environ(self) -> dict[str, str]:
        document = {"networks": self.networks, "stores": {"artifacts": self.entry}}
        return {"MODELWRIGHT_STORES": json.dumps(document)}

    def starts(self, digest: str = DIGEST) -> subprocess.Popen[str]:
        """The container, in a process of its own."""
        command = [
            *(sys.executable, "-m", "modelwright_serving.pull", "--uri", self.uri, "--digest", digest),
            *("--to", str(self.to), "--root", str(self.root), "--termination-log", str(self.log)),
        ]
        return subprocess.Popen(
            command, env={**os.environ, **self.environ}, stderr=subprocess.PIPE, text=True
        )

    def runs(self, digest: str = DIGEST) -> int:
        """Its exit code."""
        with self.starts(digest) as process:
            self.said = process.communicate(timeout=SOON)[1]
            return process.returncode

    def pulls(self, digest: str = DIGEST, pace: Pace = QUICK) -> None:
        """What the container does, in this process."""
        outside.pull(Wanted(self.uri, digest, self.to), self.environ, self.root, pace)

    def refuses(self, digest: str = DIGEST, pace: Pace = QUICK) -> str:
        """The reason of the container that ends."""
        with pytest.raises(StepError) as failure:
            self.pulls(digest, pace)
        return failure.value.reason

    def error(self) -> tuple[str, str]:
        document = json.loads(self.log.read_bytes())
        jsonschema.validate(document, SCHEMA)
        assert document["step"] == "pull"
        return document["error"]["reason"], document["error"]["message"]

    def served(self) -> dict[str, bytes]:
        """The files that the server would find."""
        return {path.name: path.read_bytes() for path in self.to.iterdir() if path.is_file()}

    def partial(self) -> int:
        """How many bytes are there."""
        path = self.to / ".pull" / "model.onnx.partial"
        return path.stat().st_size if path.exists() else 0
