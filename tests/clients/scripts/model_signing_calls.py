"""Signs and verifies with OpenSSF's model-signing: reads tasks as JSON from stdin, writes an error or "" for each."""

import json
import sys
from pathlib import Path

import model_signing


def _hashing(task: dict[str, object]) -> "model_signing.hashing.Config":
    hashing = model_signing.hashing.Config()
    if task.get("hash"):
        hashing.use_file_serialization(hashing_algorithm=task["hash"])
    if task.get("shard"):
        hashing.use_shard_serialization(shard_size=task["shard"])
    return hashing.set_ignored_paths(paths=[Path(str(task["signature"]))], ignore_git_paths=True)


def _call(task: dict[str, object]) -> None:
    if task["call"] == "sign":
        signing = model_signing.signing.Config().use_elliptic_key_signer(private_key=Path(str(task["key"])))
        signing.set_hashing_config(_hashing(task)).sign(
            Path(str(task["model"])), Path(str(task["signature"]))
        )
        return
    verifying = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=Path(str(task["key"])))
    verifying.set_ignore_unsigned_files(bool(task.get("others")))
    verifying.verify(Path(str(task["model"])), Path(str(task["signature"])))


def _outcome(task: dict[str, object]) -> str:
    try:
        _call(task)
    except Exception as error:  # noqa: BLE001 (the outcome is what is asked for)
        return f"{type(error).__name__}: {error}"
    return ""


json.dump([_outcome(task) for task in json.load(sys.stdin)], sys.stdout)
