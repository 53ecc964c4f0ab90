"""The model of a revision gets where the server reads it: whole, proven, or not at all."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from modelwright_serving import pull

CONTENT = b"model" * 1000
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
SCHEMA = Path(__file__).parents[3] / "docs" / "contracts" / "step.schema.json"


class Claim:
    """A mounted claim with one artifact, and the folder that the server will read."""

    def __init__(self, root: Path) -> None:
        self.source, self.to, self.log = root / "artifacts", root / "model", root / "log"
        self.folder = self.source / "churn" / DIGEST.replace(":", "-")
        self.folder.mkdir(parents=True)
        self.to.mkdir()
        self.file = self.folder / "model.onnx"
        self.file.write_bytes(CONTENT)

    @property
    def uri(self) -> str:
        return f"pvc://models/{self.file.relative_to(self.source)}"

    def pull(self, uri: str | None = None, digest: str = DIGEST) -> int:
        return pull.main(self.options(uri, digest))

    def options(self, uri: str | None = None, digest: str = DIGEST) -> list[str]:
        return [
            *("--uri", uri or self.uri, "--digest", digest, "--to", str(self.to)),
            *("--source-root", str(self.source), "--termination-log", str(self.log)),
        ]

    def pulled(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.to.iterdir()}

    def error(self) -> tuple[str, str]:
        document = json.loads(self.log.read_bytes())
        jsonschema.validate(document, json.loads(SCHEMA.read_text()))
        assert document["step"] == "pull"
        return document["error"]["reason"], document["error"]["message"]


@pytest.fixture
def claim(tmp_path: Path) -> Claim:
    return Claim(tmp_path)


def test_the_model_arrives_whole(claim: Claim) -> None:
    assert claim.pull() == 0
    assert claim.pulled() == {"model.onnx": CONTENT}
    assert not claim.log.exists()


def test_the_golden_request_and_the_profile_come_along(claim: Claim) -> None:
    files = {"golden.json": b"{}", "profile.json": b"[]"}
    for name, content in files.items():
        (claim.folder / name).write_bytes(content)
    assert claim.pull() == 0
    assert claim.pulled() == {"model.onnx": CONTENT, **files}


def test_a_profile_that_is_no_file_of_the_claim_is_left_out(claim: Claim) -> None:
    (claim.folder / "profile.json").symlink_to("/proc/self/environ")
    assert claim.pull() == 0
    assert claim.pulled() == {"model.onnx": CONTENT}


def test_of_a_profile_that_is_too_large_enough_comes_along_to_see_it(claim: Claim) -> None:
    (claim.folder / "profile.json").write_bytes(b"x" * 2**22)
    assert claim.pull() == 0
    assert len(claim.pulled()["profile.json"]) == 1024**2 + 1


def test_pulling_again_replaces_what_was_there(claim: Claim) -> None:
    (claim.to / "model.onnx").write_bytes(b"old")
    (claim.to / "model.onnx.partial").write_bytes(b"from a pull that was killed")
    (claim.to / "golden.json").write_bytes(b"of another model")
    (claim.to / "profile.json").write_bytes(b"of another model")
    assert claim.pull() == 0
    assert claim.pulled() == {"model.onnx": CONTENT}


def test_other_bytes_are_refused_and_leave_nothing(claim: Claim) -> None:
    claim.file.write_bytes(b"other")
    assert claim.pull() == 65
    reason, message = claim.error()
    assert reason == "DigestMismatch"
    assert DIGEST in message
    assert hashlib.sha256(b"other").hexdigest() in message
    assert claim.pulled() == {}


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("ftp://host/model.onnx", "UriUnsupported"),
        ("models/model.onnx", "UriUnsupported"),
        ("pvc://models", "UriUnsupported"),
        ("pvc:///model.onnx", "UriUnsupported"),
        ("pvc://models/../../etc/passwd", "UriUnsupported"),
        ("pvc://models/churn/..", "UriUnsupported"),
        ("pvc://models/./model.onnx", "UriUnsupported"),
        ("pvc://models//etc/passwd", "UriUnsupported"),
        ("pvc://models/churn/none.onnx", "ArtifactNotFound"),
        ("pvc://models/churn", "ArtifactNotFound"),
        ("pvc://models/none/model.onnx", "ArtifactNotFound"),
    ],
)
def test_a_uri_that_leads_nowhere_is_explained(claim: Claim, uri: str, reason: str) -> None:
    assert claim.pull(uri) == 65
    assert claim.error()[0] == reason
    assert uri in claim.error()[1]
    assert claim.pulled() == {}
    # Programs that this process starts would inherit it.
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def outside(claim: Claim) -> None:
    secret = claim.source.parent / "secret"
    secret.write_bytes(CONTENT)
    claim.file.symlink_to(secret)


def outside_folder(claim: Claim) -> None:
    elsewhere = claim.source.parent / "elsewhere"
    claim.folder.rename(elsewhere)
    claim.folder.symlink_to(elsewhere)
    (elsewhere / "model.onnx").write_bytes(CONTENT)


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        (outside, "leads out of the claim"),
        (outside_folder, "leads out of the claim"),
        (lambda claim: claim.file.symlink_to(claim.file), "circle of symbolic links"),
        (lambda claim: os.mkfifo(claim.file), "not a regular file"),
        (lambda claim: claim.file.mkdir(), "not a regular file"),
    ],
)
def test_only_a_regular_file_of_the_claim_is_read(
    claim: Claim, arrange: Callable[[Claim], None], words: str
) -> None:
    claim.file.unlink()
    arrange(claim)
    assert claim.pull() == 65
    assert claim.error()[0] == "ArtifactNotFound"
    assert words in claim.error()[1]
    assert claim.pulled() == {}


def test_a_golden_request_from_outside_the_claim_is_refused(claim: Claim) -> None:
    (claim.folder / "golden.json").symlink_to("/proc/self/environ")
    assert claim.pull() == 65
    assert claim.pulled() == {}


def test_a_link_within_the_claim_is_followed(claim: Claim) -> None:
    (claim.source / "latest").symlink_to(claim.folder)
    assert claim.pull("pvc://models/latest/model.onnx") == 0
    assert claim.pulled() == {"model.onnx": CONTENT}


def test_a_golden_request_that_is_too_large_is_refused(claim: Claim) -> None:
    (claim.folder / "golden.json").write_bytes(b"x" * (1024**2 + 1))
    assert claim.pull() == 65
    assert claim.error()[0] == "GoldenUnreadable"
    assert claim.pulled() == {}


def test_a_failing_disk_is_worth_another_try(claim: Claim) -> None:
    claim.to.rmdir()
    assert claim.pull() == 75
    assert claim.error()[0] == "StorageFailed"


def test_a_claim_that_is_not_mounted_is_worth_another_try(claim: Claim) -> None:
    claim.source.rename(claim.source.parent / "unmounted")
    assert claim.pull() == 75
    assert claim.error()[0] == "StorageFailed"


def test_a_pull_that_is_killed_leaves_no_model(claim: Claim) -> None:
    """Killed while it copies 1 GiB, it must not leave anything that a server would take for the model."""
    with claim.file.open("wb") as file:
        file.truncate(1024**3)
    command = [sys.executable, "-m", "modelwright_serving.pull", *claim.options()]
    with subprocess.Popen(command) as process:
        partial = claim.to / "model.onnx.partial"
        while not (partial.exists() and partial.stat().st_size > 0):
            assert process.poll() is None, "the copy ended before it could be killed"
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert not (claim.to / "model.onnx").exists()


def test_pulling_from_a_claim_needs_neither_server_nor_stores(claim: Claim) -> None:
    code = (
        "import sys, modelwright_serving.pull as it; assert it.main() == 0;"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-c", code, *claim.options()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {"onnxruntime", "numpy", "uvloop", "orjson", "obstore", "modelwright_stores", "ssl"}.isdisjoint(
        done.stdout.split()
    )
