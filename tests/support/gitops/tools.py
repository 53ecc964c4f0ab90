"""Asks the program beside this module, which runs what Argo CD and Flux run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from cluster.programs import built

SOURCE = Path(__file__).parent / "program"
Object = Mapping[str, Any]


class ScriptError(AssertionError):
    """A script or an expression failed; the message is what its tool shows."""


class Tools:
    """The program, as long as it runs."""

    def __init__(self) -> None:
        self._program = subprocess.Popen(
            [built(SOURCE, "gitops")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.communicate(timeout=10)

    def health(self, script: str, body: Object) -> tuple[str, str]:
        """Returns the health and the message that Argo CD shows by a script."""
        found = self._asked("script", body, script=script)
        return found["status"], found["message"]

    def actions(self, script: str, body: Object) -> dict[str, dict[str, Any]]:
        """Returns the actions that Argo CD offers by a script of discovery."""
        found: dict[str, dict[str, Any]] = self._asked("script", body, script=script)
        return found

    def patch(self, script: str, body: Object) -> dict[str, Any]:
        """Returns the merge patch that Argo CD sends for an action; ScriptError if the action refuses."""
        found: dict[str, Any] = self._asked("action", body, script=script)
        return found

    def kstatus(self, body: Object) -> str:
        """Returns what Flux and the libraries of kubectl make of an object."""
        return str(self._asked("kstatus", body)["Status"])

    def judged(self, expressions: Mapping[str, str], body: Object) -> str:
        """Returns what Flux makes of an object by an entry of `healthCheckExprs`."""
        return str(self._asked("expressions", body, expressions=expressions)["Status"])

    def _asked(self, do: str, body: Object, **more: object) -> Any:
        stdin, stdout = self._program.stdin, self._program.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"do": do, "object": body, **more}) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline())
        if "error" in answer:
            raise ScriptError(answer["error"])
        return answer["result"]
