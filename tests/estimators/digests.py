"""Prints the digest of each estimator's model as JSON: run it in processes that differ to see what does.

`python -m estimators.digests [WORD...]`; the words are parts of names."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path

from unit.training.pod import Pod

from estimators.catalogue import everything
from estimators.data import mixed


def main(words: list[str]) -> int:
    """Digests by estimator; what is refused has its reason."""
    logging.disable(logging.CRITICAL)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        pods = {
            kind: Pod(Path(folder) / kind).given_rows(mixed(kind, 150))
            for kind in ("two", "many", "regression")
        }
        for pod in pods.values():
            assert pod.given(trainer={"image": "mine"}).run("fetch").code == 0
        for trial in everything():
            if words and not any(word in trial.name for word in words):
                continue
            for kind in ("two", "many") if trial.classifies else ("regression",):
                pod = pods[kind].given(estimator=trial.path, parameters=trial.parameters)
                ending = pod.run("train")
                found[f"{trial.name} {kind}"] = ending.reason or ending.result["digest"]
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
