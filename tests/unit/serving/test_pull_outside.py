"""A model from outside the cluster: proven like one on a claim, resumed, and refused with a reason and a remedy."""

import hashlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from unit.serving.pulling import CONTENT, DIGEST, SCHEMA, SOON, Pod
from unit.serving.shelf import Shelf, shelf

from modelwright_serving.failures import StepError
from modelwright_serving.outside import Pace


class WebPod(Pod):
    """Its model is on a shelf."""

    def __init__(self, folder: Path, store: Shelf) -> None:
        super().__init__(folder, store.uri("/churn/model.onnx"))
        self.store = store
        self.trusts(store.authority)


@pytest.fixture
def store() -> Iterator[Shelf]:
    with shelf() as running:
        running.files["/churn/model.onnx"] = CONTENT
        yield running


@pytest.fixture
def pod(tmp_path: Path, store: Shelf) -> WebPod:
    return WebPod(tmp_path, store)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_model_arrives_whole_and_nothing_else_stays(pod: WebPod) -> None:
    assert pod.runs() == 0, pod.said
    assert pod.served() == {"model.onnx": CONTENT}
    assert not (pod.to / ".pull").exists()
    assert not pod.log.exists()


def test_a_pull_that_is_killed_goes_on_at_the_byte_it_reached(pod: WebPod) -> None:
    pod.store.seconds_a_piece = 0.02
    with pod.starts() as process:
        until(lambda: pod.partial() > len(CONTENT) // 3)
        process.kill()
    reached = pod.partial()
    assert pod.served() == {}
    pod.store.seconds_a_piece = 0
    pod.store.starts.clear()

    assert pod.runs() == 0, pod.said
    assert pod.store.starts == [reached]
    assert pod.served() == {"model.onnx": CONTENT}


def test_a_broken_connection_is_taken_up_where_it_broke(pod: WebPod) -> None:
    pod.store.breaks_at = 1 << 20
    pod.pulls()
    assert pod.store.starts == [0, 1 << 20]
    assert pod.served() == {"model.onnx": CONTENT}


def leaves_a_part(pod: WebPod, content: bytes) -> None:
    """As a container that was killed does, with other bytes in the part."""
    pod.store.breaks_at = 1 << 20
    reached = pod.store.files["/churn/model.onnx"]
    pod.store.files["/churn/model.onnx"] = content

    def goes_silent() -> None:
        until(lambda: pod.store.breaks_at is None)
        pod.store.silent = True

    gone = threading.Thread(target=goes_silent)
    gone.start()
    assert pod.refuses(pace=Pace(silent=0.3)) == "StoreUnavailable"
    gone.join()
    assert pod.partial() > 0
    pod.store.silent = False
    pod.store.files["/churn/model.onnx"] = reached
    pod.store.starts.clear()


def test_what_was_reached_of_another_uri_is_thrown_away(pod: WebPod) -> None:
    leaves_a_part(pod, CONTENT)
    pod.store.files["/other/model.onnx"] = CONTENT
    pod.uri = pod.store.uri("/other/model.onnx")
    pod.pulls()
    assert pod.store.starts == [0]


def test_what_was_reached_of_another_digest_is_thrown_away(pod: WebPod) -> None:
    leaves_a_part(pod, CONTENT)
    other = CONTENT[::-1]
    pod.store.files["/churn/model.onnx"] = other
    pod.pulls(f"sha256:{hashlib.sha256(other).hexdigest()}")
    assert pod.store.starts == [0]
    assert pod.served() == {"model.onnx": other}


def test_a_part_that_was_damaged_on_the_disk_is_fetched_again(pod: WebPod) -> None:
    leaves_a_part(pod, CONTENT)
    with (pod.to / ".pull" / "model.onnx.partial").open("r+b") as file:
        file.write(b"damaged")
    pod.pulls()
    assert pod.store.starts[-1] == 0
    assert pod.served() == {"model.onnx": CONTENT}


def test_a_wrong_byte_is_refused_and_removed(pod: WebPod) -> None:
    wrong = bytearray(CONTENT)
    wrong[-1] ^= 1
    pod.store.files["/churn/model.onnx"] = bytes(wrong)
    assert pod.runs() == 65
    reason, message = pod.error()
    assert reason == "DigestMismatch"
    assert DIGEST in message
    assert hashlib.sha256(wrong).hexdigest() in message
    assert [path.name for path in pod.to.rglob("*") if path.is_file()] == ["record.json"]


def test_wrong_bytes_are_fetched_again_only_when_others_are_there(pod: WebPod) -> None:
    pod.store.files["/churn/model.onnx"] = b"wrong"
    assert pod.refuses() == "DigestMismatch"

    def mends() -> None:
        looked = pod.store.requests
        until(lambda: pod.store.requests > looked + 5)
        pod.store.files["/churn/model.onnx"] = CONTENT

    pod.store.starts.clear()
    mending = threading.Thread(target=mends)
    mending.start()
    pod.pulls()
    mending.join()
    assert pod.store.starts == [0, 0]
    assert pod.served() == {"model.onnx": CONTENT}


def test_a_model_that_is_there_needs_no_store(pod: WebPod) -> None:
    """The kubelet runs it again when the node was restarted; the volume has lived on."""
    pod.pulls()
    pod.store.files.clear()
    pod.pulls()
    assert pod.served() == {"model.onnx": CONTENT}


def test_a_model_of_other_bytes_that_is_there_is_replaced(pod: WebPod) -> None:
    (pod.to / "model.onnx").write_bytes(b"other")
    (pod.to / "golden.json").write_bytes(b"of the other")
    pod.pulls()
    assert pod.served() == {"model.onnx": CONTENT}


def no_secret(pod: WebPod) -> None:
    pod.has({})


def no_certificates(pod: WebPod) -> None:
    (pod.mounted / "ca.crt").unlink()


def no_trust(pod: WebPod) -> None:
    del pod.entry["authority"]


def another_token(pod: WebPod) -> None:
    pod.store.token = "right"
    pod.has({"token": "wrong-token"})


def no_token(pod: WebPod) -> None:
    pod.store.token = "right"


def no_file(pod: WebPod) -> None:
    pod.store.files.clear()


def no_server(pod: WebPod) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        pod.uri = f"https://127.0.0.1:{free.getsockname()[1]}/model.onnx?signature=of-the-user"


def no_permission(pod: WebPod) -> None:
    pod.networks = []


def no_scheme(pod: WebPod) -> None:
    pod.uri = "ftp://127.0.0.1/model.onnx"


@pytest.mark.parametrize(
    ("arrange", "code", "reason", "word"),
    [
        (no_secret, 65, "SecretNotFound", "lake"),
        (no_certificates, 65, "CertificatesNotFound", "corp-ca"),
        (no_trust, 65, "CertificateNotTrusted", "caConfigMapRef"),
        (another_token, 65, "CredentialsRefused", "secretRef"),
        (no_token, 65, "NoCredentials", "secretRef"),
        (no_file, 65, "ArtifactNotFound", "/churn/model.onnx"),
        (no_server, 75, "StoreUnavailable", "127.0.0.1"),
        (no_permission, 65, "AddressRefused", "allowedNetworks"),
        (no_scheme, 65, "UriUnsupported", "pvc://"),
    ],
)
def test_the_first_container_says_at_once_what_is_wrong(
    pod: WebPod, arrange: Callable[[WebPod], None], code: int, reason: str, word: str
) -> None:
    arrange(pod)
    with pytest.raises(StepError) as failure:
        pod.pulls(pace=Pace(silent=2))
    assert (failure.value.reason, failure.value.exit_code) == (reason, code)
    assert reason in SCHEMA["$defs"]["pullReason"]["enum"]
    assert word in failure.value.message
    assert "signature" not in failure.value.message
    assert "wrong-token" not in failure.value.message
    assert pod.served() == {}


def test_a_store_that_never_answers_is_named_after_its_silence(pod: WebPod) -> None:
    pod.store.silent = True
    began = time.monotonic()
    assert pod.refuses() == "StoreUnavailable"
    assert time.monotonic() - began < 3


def test_a_container_that_is_started_again_takes_a_mended_secret(pod: WebPod) -> None:
    pod.store.token = "right"
    no_secret(pod)
    assert pod.runs() == 65
    assert pod.error()[0] == "SecretNotFound"
    with pod.starts() as process:
        assert process.stderr is not None
        assert "SecretNotFound" in process.stderr.readline()
        (pod.mounted / "secret" / "token").write_text("right")
        began = time.monotonic()
        assert process.wait(SOON) == 0
    assert time.monotonic() - began < 7
    assert pod.served() == {"model.onnx": CONTENT}


def test_a_container_that_is_started_again_ends_with_another_reason(pod: WebPod) -> None:
    no_secret(pod)
    pod.store.token = "right"
    assert pod.refuses() == "SecretNotFound"
    (pod.mounted / "secret" / "token").write_text("wrong")
    assert pod.refuses() == "CredentialsRefused"


def test_a_container_that_is_started_again_ends_with_the_same_reason_when_its_time_is_over(
    pod: WebPod,
) -> None:
    pod.store.files.clear()
    assert pod.refuses() == "ArtifactNotFound"
    pod.store.requests = 0
    assert pod.refuses(pace=Pace(first=0.05, longest=0.1, total=1)) == "ArtifactNotFound"
    assert pod.store.requests > 1


def test_a_container_after_one_that_was_killed_says_at_once_what_is_wrong(pod: WebPod) -> None:
    pod.store.files.clear()
    assert pod.runs() == 65
    with pod.starts() as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.kill()
    assert pod.refuses(pace=Pace()) == "ArtifactNotFound"


def test_a_container_that_looks_again_ends_at_once_when_asked(pod: WebPod) -> None:
    pod.store.files.clear()
    assert pod.runs() == 65
    with pod.starts() as process:
        assert process.stderr is not None
        process.stderr.readline()
        assert ended_in_seconds(process) < 1


def test_a_container_that_waits_for_a_store_ends_at_once_when_asked(pod: WebPod) -> None:
    pod.store.silent = True
    with pod.starts() as process:
        until(lambda: pod.store.requests > 0)
        assert ended_in_seconds(process) < 1


def ended_in_seconds(process: subprocess.Popen[str]) -> float:
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert process.wait(SOON) == 128 + signal.SIGTERM
    return time.monotonic() - began


def test_a_signature_of_a_uri_is_in_no_file_that_the_server_can_read(pod: WebPod) -> None:
    pod.uri += "?signature=of-the-user"
    leaves_a_part(pod, CONTENT)
    assert not [path for path in pod.to.rglob("*") if path.is_file() and b"of-the-user" in path.read_bytes()]
    pod.pulls()
    assert pod.served() == {"model.onnx": CONTENT}


def test_a_disk_that_fails_is_worth_another_try(pod: WebPod) -> None:
    pod.to.rmdir()
    assert pod.runs() == 75
    assert pod.error()[0] == "StorageFailed"
