"""Signatures of publish hold for OpenSSF's model-signing, and its signatures hold for verify."""

import json
import subprocess
from pathlib import Path
from typing import Any

import peers
import pytest
from unit.training.signatures import Key, holds

from modelwright_training.files import digest_of
from modelwright_training.signing import bundle, keys

SCRIPT = Path(__file__).parent / "scripts" / "model_signing_calls.py"
CURVES = ("P-256", "P-384", "P-521")


@pytest.fixture(scope="module")
def python() -> Path:
    return peers.environment("model_signing") / "bin" / "python"


def theirs(python: Path, *tasks: dict[str, Any]) -> list[str]:
    """What model-signing says to each task: "" where it has nothing to say against it."""
    text = json.dumps(
        [{**task, **{name: str(task[name]) for name in ("model", "signature", "key")}} for task in tasks]
    )
    finished = subprocess.run(
        [python, SCRIPT], input=text, capture_output=True, text=True, check=True, timeout=60
    )
    said: list[str] = json.loads(finished.stdout.strip().splitlines()[-1])
    return said


def signed(folder: Path, key: Key, content: bytes = b"a model") -> Path:
    """A folder as publish leaves it: the model, its signature, and files beside them."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(content)
    (folder / "card.md").write_text("# churn")
    made = bundle.sign("model.onnx", digest_of(content), keys.private_key(key.private, "key k of Secret s"))
    (folder / "model.sig").write_bytes(made)
    return folder / "model.onnx"


def test_what_publish_signs_holds_for_them(tmp_path: Path, python: Path) -> None:
    tasks = []
    for curve in CURVES:
        key = Key.made(tmp_path / f"key-{curve}", curve)
        model = signed(tmp_path / curve, key)
        tasks.append(
            {"call": "verify", "model": model, "signature": model.with_name("model.sig"), "key": key.public}
        )

    assert theirs(python, *tasks) == [""] * len(CURVES)


def test_what_is_wrong_with_ours_is_wrong_for_them(tmp_path: Path, python: Path) -> None:
    key, other = Key.made(tmp_path / "key"), Key.made(tmp_path / "other")
    model = signed(tmp_path / "v1", key)
    sound = {"call": "verify", "model": model, "signature": model.with_name("model.sig"), "key": key.public}
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(b"another model")
    broken = tmp_path / "broken.sig"
    broken.write_text(model.with_name("model.sig").read_text()[:200])

    wrong = ({"model": changed}, {"key": other.public}, {"signature": broken})

    assert [bool(said) for said in theirs(python, *({**sound, **change} for change in wrong))] == [True] * 3


@pytest.mark.parametrize("curve", CURVES)
def test_what_they_sign_holds_for_verify(tmp_path: Path, python: Path, curve: str) -> None:
    """The file alone, and the folder that it is in: the two ways in which their command is used."""
    key, folder = Key.made(tmp_path / "key", curve), tmp_path / "v1"
    folder.mkdir()
    model = folder / "model.onnx"
    model.write_bytes(b"a model")
    (folder / "tokens.txt").write_text("beside it")
    alone, whole = tmp_path / "alone.sig", folder / "model.sig"
    sign = {"call": "sign", "key": key.private}
    assert theirs(
        python, {**sign, "model": model, "signature": alone}, {**sign, "model": folder, "signature": whole}
    ) == ["", ""]

    for signature in (alone, whole):
        assert holds(signature, model, key) == ""
    assert holds(whole, model, Key.made(tmp_path / "other", curve)).startswith("WrongKey: ")
    model.write_bytes(b"another model")
    for signature in (alone, whole):
        assert "SignatureInvalid: " in holds(signature, model, key)
        assert "It is about a file of digest" in holds(signature, model, key)


def test_other_ways_of_theirs_to_take_digests_are_refused_with_their_name(
    tmp_path: Path, python: Path
) -> None:
    key, folder = Key.made(tmp_path / "key"), tmp_path / "v1"
    folder.mkdir()
    model = folder / "model.onnx"
    model.write_bytes(b"a model")
    sign = {"call": "sign", "key": key.private, "model": folder}
    blake, shards = tmp_path / "blake.sig", tmp_path / "shards.sig"
    assert theirs(
        python, {**sign, "signature": blake, "hash": "blake2"}, {**sign, "signature": shards, "shard": 1000}
    ) == ["", ""]

    assert "hash_type: Input should be 'sha256'" in holds(blake, model, key)
    assert "method: Input should be 'files'" in holds(shards, model, key)
