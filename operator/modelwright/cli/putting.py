"""Runs `modelwright data put`: copies a file to a claim, through a pod that mounts it, and checks what arrived."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from pydantic import ValidationError
from urllib3.exceptions import HTTPError

from modelwright.api.podtemplate import PodTemplate
from modelwright.cli import screen
from modelwright.cli.access import Access
from modelwright.cli.errors import BadUsage, NoAccess, NoAnswer, NotFound, Refused, Unreachable
from modelwright.cli.options import Put
from modelwright.cli.refusals import Attempt, complaint_of

CHUNK = 1 << 20
ANSWER = 30.0
# A pod whose program is gone ends by itself.
POD_SECONDS = 3600
OPERATOR = "app.kubernetes.io/name=modelwright,app.kubernetes.io/component=operator"
# Users and groups of pods, where the operator's options name none.
IDS = {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "fsGroupChangePolicy": "OnRootMismatch"}
# What of a template concerns pods that run for long, side by side.
NOT_HERE = ("topologySpreadConstraints", "securityContext")
# Takes SIZE bytes, so that it needs no end of the stream; the file appears whole, or not at all.
RECEIVER = """
import hashlib, os, sys
path, left = sys.argv[1], int(sys.argv[2])
os.makedirs(os.path.dirname(path), exist_ok=True)
digest, partial = hashlib.sha256(), path + ".partial"
with open(partial, "wb") as file:
    while left:
        part = sys.stdin.buffer.read1(min(left, 1 << 20))
        if not part:
            sys.exit("the data ended early")
        digest.update(part)
        file.write(part)
        left -= len(part)
    file.flush()
    os.fsync(file.fileno())
os.replace(partial, path)
print(digest.hexdigest())
"""


def put(access: Access, command: Put) -> None:
    """Copies the file; Refused if other bytes arrived."""
    if not command.file.is_file():
        raise BadUsage(f"there is no file {command.file}")
    core = CoreV1Api(access.client)
    arguments = _arguments(access, needed=command.image is None)
    image = command.image or option(arguments, "--training-image")
    if image is None:
        raise NotFound(
            "no operator of Modelwright is on this cluster: name an image that has Python (--image)"
        )
    name = f"modelwright-data-put-{secrets.token_hex(4)}"
    body = manifest(name, command.place.name, image, option(arguments, "--pod-template"))
    with _pod(core, access.namespace, body) as pod:
        _wait(core, access.namespace, pod, command.timeout)
        sent, arrived = _copy(core, access.namespace, pod, command)
    if sent != arrived:
        raise Refused(f"other bytes arrived: sha256:{arrived} instead of sha256:{sent}; try again")
    screen.show([f"pvc://{command.place.name}/{command.path} has the file, digest sha256:{sent}"])


def _arguments(access: Access, *, needed: bool) -> list[str]:
    """The arguments of the operator on this cluster. None if there is no operator, or if it may not be looked up."""
    try:
        found = AppsV1Api(access.client).list_deployment_for_all_namespaces(
            label_selector=OPERATOR, _request_timeout=ANSWER
        )
    except ApiException as error:
        if not needed:
            return []
        message = f"the operator's image cannot be looked up ({error.reason}): name an image that has Python (--image)"
        raise NoAccess(message) from error
    pods = (item["spec"]["template"]["spec"] for item in _plain(access.client, found.items))
    return [word for pod in pods for container in pod["containers"] for word in container.get("args") or ()]


def option(arguments: Sequence[str], name: str) -> str | None:
    """The value of an option of the operator; None if it has none."""
    return next((word.partition("=")[2] for word in arguments if word.startswith(f"{name}=")), None)


@contextmanager
def _pod(core: CoreV1Api, namespace: str, body: Mapping[str, Any]) -> Iterator[str]:
    """A pod that mounts the claim and waits. It is deleted in the end."""
    name = body["metadata"]["name"]
    with _complaining(Attempt("create", namespace, "pods")):
        core.create_namespaced_pod(namespace, cast("Any", body), _request_timeout=ANSWER)
    try:
        yield name
    finally:
        with suppress(ApiException, HTTPError):
            core.delete_namespaced_pod(name, namespace, grace_period_seconds=0, _request_timeout=ANSWER)


def manifest(name: str, claim: str, image: str, template: str | None = None) -> dict[str, Any]:
    """The pod that takes the file. It keeps to the restricted Pod Security Standard.

    `template`: what the administrator says of all pods, as the operator's option.
    """
    metadata, spec, ids = _said(template)
    labels = {**metadata.get("labels", {}), "app.kubernetes.io/name": "modelwright-data-put"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "name": name, "labels": labels},
        "spec": {
            **spec,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": POD_SECONDS,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                **ids,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": claim}}],
            "containers": [
                {
                    "name": "put",
                    "image": image,
                    "command": ["python3", "-c", f"import time; time.sleep({POD_SECONDS})"],
                    "volumeMounts": [{"name": "claim", "mountPath": "/claim"}],
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "64Mi"},
                        "limits": {"memory": "256Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                }
            ],
        },
    }


def _said(template: str | None) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The metadata, the spec, and the users and groups of pods. An option of another release that cannot be read
    counts as none."""
    try:
        read = None if template is None else PodTemplate.model_validate_json(template)
    except ValidationError:
        read = None
    if read is None:
        return {}, {}, IDS
    said = read.model_dump(mode="json", by_alias=True, exclude_none=True)
    spec = said.get("spec", {})
    others = {field: value for field, value in spec.items() if field not in NOT_HERE}
    return said.get("metadata", {}), others, spec.get("securityContext", {})


def _wait(core: CoreV1Api, namespace: str, name: str, timeout: float) -> None:
    """Waits until the pod runs; NoAnswer with what stands in its way."""
    end, why = time.monotonic() + timeout, "it has not been scheduled"
    while time.monotonic() < end:
        with _complaining(Attempt("get", namespace, "pods", name)):
            pod = core.read_namespaced_pod(name, namespace, _request_timeout=ANSWER)
        status = _plain(core.api_client, pod).get("status") or {}
        if status.get("phase") == "Running":
            return
        if status.get("phase") in {"Failed", "Succeeded"}:
            raise Refused(
                f"pod {name} ended: {status.get('message') or status.get('reason') or status['phase']}"
            )
        why = _hindrance(status) or why
        time.sleep(0.5)
    raise NoAnswer(f"pod {name} does not run within {timeout:g} s: {why}")


def _hindrance(status: Mapping[str, Any]) -> str | None:
    """What keeps the pod from running, as far as the cluster says it."""
    states = (container.get("state") or {} for container in status.get("containerStatuses") or ())
    waiting = [state["waiting"] for state in states if "waiting" in state]
    said = [f"{each.get('reason')}: {each['message']}" for each in waiting if each.get("message")]
    conditions = status.get("conditions") or ()
    said += [str(each["message"]) for each in conditions if each["status"] == "False" and each.get("message")]
    return said[0] if said else None


def _plain(client: ApiClient, objects: object) -> Any:  # noqa: ANN401 - whatever JSON it is
    """Objects of the client as the API server writes them."""
    return client.sanitize_for_serialization(objects)  # type: ignore[no-untyped-call]


def _copy(core: CoreV1Api, namespace: str, pod: str, command: Put) -> tuple[str, str]:
    """Sends the file. Returns the sha256 of what was read here, and of what was written there."""
    size = command.file.stat().st_size
    words = ["python3", "-c", RECEIVER, f"/claim/{command.path}", str(size)]
    with _complaining(Attempt("create", namespace, "pods/exec", pod)):
        channel = stream(
            core.connect_get_namespaced_pod_exec, pod, namespace, command=words, container="put",
            stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
        )  # fmt: skip
    digest, out, errors = hashlib.sha256(), "", ""
    try:
        with command.file.open("rb") as file:
            left = size
            while left and channel.is_open() and (part := file.read(min(CHUNK, left))):
                digest.update(part)
                channel.write_stdin(part)
                left -= len(part)
                errors += channel.read_stderr() if channel.peek_stderr() else ""
        while channel.is_open():
            channel.update(timeout=ANSWER)
        out, errors = out + channel.read_stdout(), errors + channel.read_stderr()
    finally:
        channel.close()
    if channel.returncode != 0:
        raise Refused(
            f"writing to claim {command.place.name} failed: {errors.strip() or 'the connection ended'}"
        )
    return digest.hexdigest(), out.strip()


@contextmanager
def _complaining(attempt: Attempt) -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        raise complaint_of(attempt, error.status or 0, error.reason or "", error.body or "") from error
    except HTTPError as error:
        raise Unreachable(f"the cluster does not answer: {error}") from error
