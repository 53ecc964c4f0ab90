"""Turns the API server's error responses into Complaints: which permission is missing, what does not exist. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelwright.api import GROUP
from modelwright.cli.errors import Complaint, Conflict, Expired, NoAccess, NotFound, Refused, Unreachable

PLURAL = "inferenceservices"
KIND = f"{PLURAL}.{GROUP}"
VERSIONS = f"modelversions.{GROUP}"
TRAINING_JOBS = f"trainingjobs.{GROUP}"
# What a ValidatingAdmissionPolicy says, behind the names of the policy and of its binding.
_DENIED = re.compile(
    r"ValidatingAdmissionPolicy '[^']*'(?: with binding '[^']*')? denied request: (.+)", re.DOTALL
)
_USER = re.compile(r'User "([^"]{1,253})"')
# All verbs that the commands about rollouts need, so that the user asks the administrator once for each resource.
ROLES = {
    KIND: ("rollouts", "get,list,watch,patch"),
    VERSIONS: ("model-versions", "get,list"),
    TRAINING_JOBS: ("training-jobs", "get,list,patch"),
    "events": ("rollout-events", "list"),
}
DATA_ROLES = {"pods": ("data-put", "create,get,delete"), "pods/exec": ("data-put-exec", "create,get")}
# How many names a message holds: similar ones, or all.
NEAR, ALL = 3, 10


@dataclass(frozen=True)
class Attempt:
    """A request to the API server, as the permission that it needs."""

    verb: str
    namespace: str
    resource: str = KIND
    name: str = ""


def complaint_of(attempt: Attempt, code: int, reason: str, body: str) -> Complaint:
    """Returns the Complaint for an error response of the API server."""
    message = _message(body)
    text = message or reason
    match code:
        case 401:
            return NoAccess(
                "the cluster does not take the credentials of this kubeconfig (401): log in again"
            )
        case 403:
            denied = _DENIED.search(text)
            return Refused(denied[1]) if denied else NoAccess(_forbidden(attempt, text))
        case 404:
            return NotFound(_missing(attempt, message))
        case 409 | 410:
            return Conflict(text) if code == 409 else Expired(text)
        case 0 | 408 | 429 | 500 | 502 | 503 | 504:
            return Unreachable(f"the cluster cannot answer at present ({code or 'TLS'}): {text}")
    return Refused(f"the cluster refuses to {attempt.verb} {attempt.resource} ({code}): {text}")


def _missing(attempt: Attempt, message: str | None) -> str:
    """The message for a 404: of the kind if the response is no Status, else of the object."""
    if message is None:
        return f"the cluster has no {attempt.resource}: Modelwright is not installed on it, or this is another one"
    return f"{attempt.resource} {attempt.name!r} is not in namespace {attempt.namespace}"


def _message(body: str) -> str | None:
    """The message of a Status; None if the body is something else."""
    try:
        status = json.loads(body)
    except ValueError:
        return None
    is_status = isinstance(status, dict) and status.get("kind") == "Status"
    return str(status.get("message", "")) if is_status else None


def _forbidden(attempt: Attempt, message: str) -> str:
    match = _USER.search(message)
    who = match[1] if match else "USER"
    if attempt.resource not in ROLES | DATA_ROLES:
        return f"{who} may not {attempt.verb} {attempt.resource}: {message}"
    role, verbs = (ROLES | DATA_ROLES)[attempt.resource]
    space = attempt.namespace
    return (
        f"{who} may not {attempt.verb} {attempt.resource} in namespace {space}. An administrator can allow it:\n"
        f"  kubectl create role {role} -n {space} --verb={verbs} --resource={attempt.resource}\n"
        f"  kubectl create rolebinding {role} -n {space} --role={role} --user={who}"
    )


def not_there(
    name: str, namespace: str, names: Sequence[str] | None, kind: str = "InferenceService"
) -> NotFound:
    """Returns NotFound with similar names, or with all of them. `names` is None if the user may not list them."""
    text = f"there is no {kind} {name} in namespace {namespace}"
    if names is None:
        return NotFound(text)
    if not names:
        return NotFound(f"{text}, nor any other: is it another namespace (-n)?")
    near = difflib.get_close_matches(name, names, n=NEAR)
    if near:
        return NotFound(f"{text}. Is it {' or '.join(near)}?")
    more = f" and {len(names) - ALL} more" if len(names) > ALL else ""
    return NotFound(f"{text}. There are: {', '.join(sorted(names)[:ALL])}{more}")
