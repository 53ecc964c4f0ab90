"""The command `modelwright` on a real canary: what it shows is so, and what it asks for is done."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.commandline import PROGRAMS, CommandLine, bound, ended
from support.handmade import versions
from support.kubectl import Kubectl, Object, message, program
from support.manifests import claim, inference_service, script_pod
from support.models import valid_model

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

# Nobody calls the canary, so it stays at its steps until somebody promotes it.
STEPS = [{"weight": 10, "holdSeconds": 1}, {"weight": 50, "holdSeconds": 1}]
TOO_MUCH = {"requests": {"cpu": "500", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}


@pytest.fixture(scope="module")
def published(shared: Kubectl) -> Kubectl:
    """The namespace, with the versions `one` and `two`."""
    versions(shared, "doubles", {"one": valid_model(), "two": valid_model() + b"\x1a\x03two"})
    return shared


@pytest.fixture
def served(published: Kubectl) -> Iterator[str]:
    """An InferenceService that serves `one`."""
    name = f"cli-{uuid.uuid4().hex[:6]}"
    published.apply(service(name, "one"))
    published.condition("mwisvc", name, "Ready", "True", within=120)
    yield name
    published.delete("mwisvc", name, "--wait=false")


@pytest.fixture
def user(published: Kubectl, tmp_path: Path) -> CommandLine:
    return bound(published.namespace, tmp_path)


def service(name: str, version: str, **spec: Any) -> Object:
    rollout = {"strategy": "Canary", "steps": STEPS, "scaleDownDelaySeconds": 120}
    return inference_service(name, version=version, **{"replicas": 2, "rollout": rollout, **spec})


def with_canary(kubectl: Kubectl, name: str) -> None:
    """Version `two` has its first share."""
    kubectl.apply(service(name, "two"))
    kubectl.wait("mwisvc", name, lambda found: state(found) == "Shifting", what="shifting")


def state(found: Object) -> str | None:
    return (found["status"].get("canary") or {}).get("state")


def request(found: Object) -> str | None:
    return (found["metadata"].get("annotations") or {}).get("modelwright.dev/rollout")


def document(user: CommandLine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(user.rollout("status", name, "-o", "json"))
    return found


def test_a_rollout_is_shown_paused_resumed_promoted_aborted_and_tried_again(
    published: Kubectl, user: CommandLine, served: str
) -> None:
    assert "no rollout is in progress; one has all of the traffic" in user.rollout("status", served)
    assert "nothing to promote: no rollout is in progress" in user.rollout("promote", served, code=1)

    with_canary(published, served)
    log = user.start("rollout", "status", served, "--watch", "--timeout=10m")
    text = user.rollout("status", served)
    assert "InProgress: two answers 10 % of the requests, at step 1 of 2" in text
    assert "NOW      1  answers 10 %" in text

    assert "pause: done" in user.rollout("pause", served)
    assert document(user, served)["paused"]
    assert "paused already" in user.rollout("pause", served, code=1)
    assert "resume: done" in user.rollout("resume", served)
    assert not document(user, served)["paused"]

    revision = document(user, served)["status"]["canary"]["revision"]
    assert "nothing was asked for" in user.rollout("promote", served, "--revision=other", code=1)
    assert "promote: done" in user.rollout("promote", served, f"--revision={revision}")
    assert document(user, served)["status"]["canary"]["step"] == 1

    assert "abort: done. RolledBack: two was rolled back: Aborted" in user.rollout("abort", served)
    seen = ended(log, 1)
    assert "it is paused there" in seen
    assert "two went on to the next step at step 1: Requested" in seen
    assert "RolledBack: two was rolled back" in seen.splitlines()[-1]
    assert "tried again with: modelwright rollout retry" in user.rollout("promote", served, code=1)
    assert "RolledBack" in user.rollout("status", served, "--watch", code=1)

    assert "retry: done" in user.rollout("retry", served)
    assert "promote-full: done" in user.rollout("promote", served, "--full", "--timeout=2m")
    assert "Done: no rollout is in progress; two has" in user.rollout(
        "status", served, "--watch", "--timeout=2m"
    )
    assert published.get("mwisvc", served)["status"]["stable"]["version"] == "two"

    assert "As long as one runs" in user.rollout("status", served)
    assert "undo: done" in user.rollout("undo", served)
    undone = published.condition("mwisvc", served, "Ready", "True", "Undone", within=60)
    assert "(modelwright-cli)" in message(undone), "the API server knows who wrote the annotation"
    assert undone["status"]["stable"]["version"] == "one"
    assert "undo: done" in user.rollout("undo", served)
    again = published.condition("mwisvc", served, "Ready", "True", "Serving", within=60)
    assert again["status"]["stable"]["version"] == "two"


def test_a_file_gets_to_a_claim_whole_and_no_pod_stays(
    shared: Kubectl, user: CommandLine, tmp_path: Path
) -> None:
    shared.apply(claim("lake"))
    file = tmp_path / "rows.bin"
    file.write_bytes(os.urandom(5_000_000))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    said = ended(user.start("data", "put", str(file), "pvc://lake/2026/rows.bin"), 0)

    assert f"pvc://lake/2026/rows.bin has the file, digest sha256:{digest}" in said
    script = f"""
import hashlib
assert hashlib.sha256(open('/volume/2026/rows.bin', 'rb').read()).hexdigest() == '{digest}'
"""
    shared.apply(script_pod("reads", script, claim_name="lake"))
    shared.wait(
        "pod", "reads", lambda pod: pod["status"]["phase"] == "Succeeded", what="the file on the claim"
    )
    assert not shared.all("pod", "app.kubernetes.io/name=modelwright-data-put")
    wrong = user.start("data", "put", str(file), "pvc://no-lake/rows.bin", "--timeout=5s")
    assert 'persistentvolumeclaim "no-lake" not found' in ended(wrong, 5)


def test_kubectl_finds_it_on_the_path(published: Kubectl, user: CommandLine, served: str) -> None:
    path = {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}", "KUBECONFIG": str(user.kubeconfig)}
    words = [program("kubectl"), "modelwright", "rollout", "status", served]
    done = subprocess.run(
        words, env={**os.environ, **path}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "one has all of the traffic" in done.stdout


def test_a_request_that_the_operator_refuses_is_told_with_its_reason(
    published: Kubectl, user: CommandLine, served: str
) -> None:
    published.apply(service(served, "two", resources=TOO_MUCH))
    published.wait("mwisvc", served, lambda found: state(found) == "Progressing", what="starting")
    revision = document(user, served)["status"]["canary"]["revision"]
    pending = user.rollout("promote", served, "--timeout=2s", code=5)
    assert "the pods of the canary are not ready" in pending
    assert f"kubectl annotate -n {published.namespace} mwisvc {served} modelwright.dev/rollout-" in pending
    assert "waits for the operator" in user.rollout("status", served)

    before = request(published.get("mwisvc", served))
    asked = user.start("rollout", "promote", served, "--timeout=60s")
    published.wait("mwisvc", served, lambda found: request(found) != before, what="asked")
    published.apply(service(served, "one"))
    assert f"revision {revision} is not the canary" in ended(asked, 1)


def test_what_is_not_there_is_told_with_what_is(user: CommandLine, published: Kubectl, served: str) -> None:
    assert f"Is it {served}?" in user.rollout("status", f"{served}x", code=3)
    assert "nor any other" in user.rollout("status", served, "-n", "default", code=3)
    assert "there is no InferenceService" in user.rollout("abort", "nothing", code=3)
    assert "has no context nowhere; there are: " in user.rollout(
        "status", served, "--context=nowhere", code=4
    )
    assert "there is no kubeconfig /none" in user.rollout("status", served, "--kubeconfig=/none", code=4)


def test_a_user_without_the_permission_is_told_which_and_how_to_get_it(
    published: Kubectl, served: str, tmp_path: Path
) -> None:
    with_canary(published, served)
    published.run("create", "serviceaccount", "reader")
    who = f"system:serviceaccount:{published.namespace}:reader"
    reader = bound(published.namespace, tmp_path, token=published.run("create", "token", "reader").strip())
    told = reader.rollout("pause", served, code=4)
    assert f"{who} may not get inferenceservices.modelwright.dev" in told

    role, binding = [line.split()[1:] for line in told.splitlines() if line.startswith("  kubectl")]
    for command in (role, binding):
        published.run(*command)
    assert "pause: done" in reader.rollout("pause", served)


def test_ctrl_c_ends_it_quietly(published: Kubectl, user: CommandLine, served: str) -> None:
    with_canary(published, served)
    watching = user.start("rollout", "status", served, "--watch")
    assert watching.stdout is not None
    assert "InProgress" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    ended(watching, 130, within=20)


def test_on_a_terminal_the_picture_is_drawn_anew_and_stays_at_the_end(user: CommandLine, served: str) -> None:
    ours, theirs = pty.openpty()
    with user.start("rollout", "status", served, "--watch", stdout=theirs) as watching:
        os.close(theirs)
        assert watching.wait(timeout=60) == 0
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    page, picture = shown.split("\x1b[?1049l")
    assert page.startswith("\x1b[?1049h")
    assert "Done: no rollout is in progress; one has" in page
    assert "Done: no rollout is in progress; one has" in picture
