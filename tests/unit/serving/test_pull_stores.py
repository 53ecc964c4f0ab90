"""A model from a bucket and from a registry, as real servers give it: versitygw, and crane's registry."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.stores import registries
from support.stores.faults import Fault, proxy
from support.stores.registries import Registry, front, registry
from support.stores.s3 import REGION, Gateway, gateway
from unit.serving.pulling import CONTENT, DIGEST, QUICK, SCHEMA, Pod

from modelwright_serving.failures import StepError
from modelwright_serving.outside import Pace
from modelwright_stores.access import Access, accesses
from modelwright_stores.objects.bucket import Bucket
from modelwright_stores.registry.repository import Repository

KEY = "churn/model.onnx"
GOLDEN = b'{"request": {}}'
PROFILE = b'{"version": 1}'


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def bucket(lake: Gateway, tmp_path: Path) -> Path:
    """A bucket of this test alone."""
    return lake.bucket(hashlib.sha256(str(tmp_path).encode()).hexdigest()[:20])


@pytest.fixture
def pod(lake: Gateway, bucket: Path, tmp_path: Path) -> Pod:
    """A pod whose model is in the bucket, written by the library as `publish` does."""
    made = Pod(tmp_path, f"s3://{bucket.name}/{KEY}")
    made.has(lake.keys.secret_data())
    made.entry.update(endpoint=lake.endpoint, region=REGION)
    Bucket(made.uri, accesses(made.environ, made.root)["artifacts"]).put(KEY, CONTENT)
    return made


def test_a_model_comes_from_a_bucket_with_what_is_beside_it(pod: Pod, bucket: Path) -> None:
    (bucket / "churn/golden.json").write_bytes(GOLDEN)
    (bucket / "churn/profile.json").write_bytes(PROFILE)
    assert pod.runs() == 0, pod.said
    assert pod.served() == {"model.onnx": CONTENT, "golden.json": GOLDEN, "profile.json": PROFILE}
    assert not (pod.to / ".pull").exists()


def test_a_model_of_a_bucket_without_a_golden_request_is_served_without(pod: Pod) -> None:
    (pod.to / "golden.json").write_bytes(b"of another model")
    (pod.to / "profile.json").write_bytes(b"of another model")
    pod.pulls()
    assert pod.served() == {"model.onnx": CONTENT}


def test_a_profile_in_a_bucket_that_is_too_large_is_left_out(pod: Pod, bucket: Path) -> None:
    (bucket / "churn/profile.json").write_bytes(b"x" * ((1 << 20) + 1))
    assert pod.runs() == 0
    assert "profile.json is left out: FileTooLarge" in pod.said
    assert pod.served() == {"model.onnx": CONTENT}


def test_a_golden_request_in_a_bucket_that_is_too_large_is_refused(pod: Pod, bucket: Path) -> None:
    (bucket / "churn/golden.json").write_bytes(b"x" * ((1 << 20) + 1))
    assert pod.refuses() == "GoldenUnreadable"
    assert pod.served() == {}


def test_a_pull_from_a_bucket_that_is_killed_fetches_the_rest_alone(pod: Pod, lake: Gateway) -> None:
    with proxy(lake, rate=3e6) as front:
        pod.entry["endpoint"] = front.endpoint
        with pod.starts() as process:
            while pod.partial() < len(CONTENT) // 3:
                assert process.poll() is None
                time.sleep(0.005)
            process.kill()
        reached = pod.partial()
    with proxy(lake) as front:
        pod.entry["endpoint"] = front.endpoint
        assert pod.runs() == 0, pod.said
        head = 1  # is asked for as one byte
        assert front.sent(KEY) == len(CONTENT) - reached + head
    assert pod.served() == {"model.onnx": CONTENT}


def test_a_store_that_goes_away_in_the_middle_and_comes_back_is_read_on(pod: Pod, lake: Gateway) -> None:
    def gone() -> None:
        while pod.partial() < len(CONTENT) // 3:
            time.sleep(0.005)
        lake.program.kill()
        time.sleep(1)
        lake.program.start()

    with proxy(lake, rate=3e6) as front:
        pod.entry["endpoint"] = front.endpoint
        going = threading.Thread(target=gone)
        going.start()
        pod.pulls(pace=Pace())
        going.join()
        assert front.sent(KEY) <= 1.1 * len(CONTENT)
    assert pod.served() == {"model.onnx": CONTENT}


def test_a_byte_that_has_changed_in_the_bucket_is_refused(pod: Pod, bucket: Path) -> None:
    (bucket / KEY).write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    assert pod.refuses() == "DigestMismatch"
    assert pod.served() == {}


def test_a_byte_that_changes_on_the_way_is_refused(pod: Pod, lake: Gateway) -> None:
    with proxy(lake) as front:
        # The first request asks for the head, as one byte.
        front.inject(*[Fault(path=KEY, after=9, then="flip")] * 2)
        pod.entry["endpoint"] = front.endpoint
        assert pod.refuses() == "DigestMismatch"
        assert pod.served() == {}
        pod.pulls()
    assert pod.served() == {"model.onnx": CONTENT}


def wrong_key(pod: Pod) -> None:
    pod.has({"AWS_SECRET_ACCESS_KEY": "wrong-secret"})


def unknown_key(pod: Pod) -> None:
    pod.has({"AWS_ACCESS_KEY_ID": "AKIAWRONG"})


def half_a_key(pod: Pod) -> None:
    (pod.mounted / "secret" / "AWS_SECRET_ACCESS_KEY").unlink()


def no_key(pod: Pod) -> None:
    del pod.entry["secret"]


def no_secret(pod: Pod) -> None:
    for path in (pod.mounted / "secret").iterdir():
        path.unlink()


def no_bucket(pod: Pod) -> None:
    pod.uri = "s3://no-such-bucket/churn/model.onnx"


def no_object(pod: Pod) -> None:
    pod.uri += ".typo"


def no_permission(pod: Pod) -> None:
    pod.networks = []


@pytest.mark.parametrize(
    ("arrange", "reason", "word"),
    [
        (wrong_key, "CredentialsRefused", "lake"),
        (unknown_key, "CredentialsRefused", "lake"),
        (half_a_key, "SecretIncomplete", "AWS_SECRET_ACCESS_KEY"),
        (no_key, "NoCredentials", "secretRef"),
        (no_secret, "SecretNotFound", "lake"),
        (no_bucket, "BucketNotFound", "no-such-bucket"),
        (no_object, "ArtifactNotFound", "model.onnx.typo"),
        (no_permission, "AddressRefused", "allowedNetworks"),
    ],
)
def test_what_is_wrong_with_a_bucket_is_said_with_its_remedy(
    pod: Pod, arrange: Callable[[Pod], None], reason: str, word: str
) -> None:
    arrange(pod)
    with pytest.raises(StepError) as failure:
        pod.pulls(pace=Pace())
    assert (failure.value.reason, failure.value.exit_code) == (reason, 65)
    assert reason in SCHEMA["$defs"]["pullReason"]["enum"]
    assert word in failure.value.message
    assert "wrong-secret" not in failure.value.message
    assert pod.served() == {}


def test_a_secret_of_a_bucket_that_is_mended_works_at_the_next_look(pod: Pod, lake: Gateway) -> None:
    wrong_key(pod)
    assert pod.refuses() == "CredentialsRefused"

    def mends() -> None:
        time.sleep(0.3)
        pod.has(lake.keys.secret_data())

    mending = threading.Thread(target=mends)
    mending.start()
    pod.pulls()
    mending.join()
    assert pod.served() == {"model.onnx": CONTENT}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def image(images: Registry, tmp_path: Path) -> Pod:
    """A pod whose model is in a registry, with a golden request beside it."""
    made = Pod(tmp_path, f"oci://{images.host}/team/churn:{DIGEST.replace('sha256:', 'model-')}")
    made.entry.update(endpoint=images.endpoint, trusted=True)
    access = Access(tmp_path / "none", endpoint=images.endpoint, trusted=True)
    files = {"model.onnx": CONTENT, "golden.json": GOLDEN, "profile.json": PROFILE}
    Repository(made.uri, access).push(DIGEST.replace("sha256:", "model-"), files, {})
    return made


def test_a_model_comes_from_a_registry_with_what_is_beside_it(image: Pod) -> None:
    image.pulls()
    assert image.served() == {"model.onnx": CONTENT, "golden.json": GOLDEN, "profile.json": PROFILE}


def test_an_image_with_another_model_is_refused(image: Pod) -> None:
    assert image.refuses(f"sha256:{'0' * 64}") == "DigestMismatch"
    assert image.served() == {}


def test_an_image_with_another_model_is_refused_before_its_bytes_are_read(
    images: Registry, image: Pod
) -> None:
    with front(images) as before:
        image.entry["endpoint"] = before.endpoint
        image.uri = image.uri.replace(images.host, before.host)
        assert image.refuses(f"sha256:{'0' * 64}") == "DigestMismatch"
        assert not [asked for asked in before.asked if "/blobs/" in asked.path]


def test_wrong_bytes_of_a_registry_are_not_fetched_at_each_look(images: Registry, image: Pod) -> None:
    with front(images) as before:
        image.entry["endpoint"] = before.endpoint
        image.uri = image.uri.replace(images.host, before.host)
        blob = f"/blobs/{DIGEST}"
        before.inject(registries.Fault(path=blob, after=1000, then="flip", times=100))
        assert image.refuses() == "DigestMismatch"
        before.asked.clear()
        assert image.refuses(pace=Pace(silent=1, first=0.05, longest=0.1, total=2)) == "DigestMismatch"
        assert len([asked for asked in before.asked if blob in asked.path]) == 1
    assert image.served() == {}


def test_an_image_that_is_not_there_is_no_artifact(image: Pod) -> None:
    image.uri += "0"
    assert image.refuses(pace=QUICK) == "ArtifactNotFound"


def test_a_damaged_part_of_an_image_is_fetched_again_at_once(image: Pod, images: Registry) -> None:
    with front(images) as server:
        image.entry["endpoint"] = server.endpoint
        cut = registries.Fault(path=DIGEST, after=1 << 20)
        server.inject(cut, registries.Fault(path=DIGEST, status=503, times=99))
        assert image.refuses() == "StoreUnavailable"
        assert image.partial() > 0
        server.faults.clear()
        with (image.to / ".pull" / "model.onnx.partial").open("r+b") as file:
            file.write(b"damaged")
        image.pulls()
    assert image.served()["model.onnx"] == CONTENT
