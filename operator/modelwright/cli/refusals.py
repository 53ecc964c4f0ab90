"""What the API server's refusals mean to a user: which permission is missing, what is not there. Pure."""

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
_USER = re.compile(r'User "([^"]{1,253})"')
# What a whole session takes, so that an administrator is asked once for each resource.
ROLES = {KIND: ("rollouts", "get,list,watch,patch"), "events": ("rollout-events", "list")}
# Names that are worth to be told.
NEAR, ALL = 3, 10


@dataclass(frozen=True)
class Attempt:
    """What was tried: the permission that it takes."""

    verb: str
    namespace: str
    resource: str = KIND
    name: str = ""


def complaint_of(attempt: Attempt, code: int, reason: str, body: str) -> Complaint:
    """What an answer of the API server means."""
    message = _message(body)
    told = message or reason
    match code:
        case 401:
            return NoAccess(
                "the cluster does not take the credentials of this kubeconfig (401): log in again"
            )
        case 403:
            return NoAccess(_forbidden(attempt, told))
        case 404:
            return NotFound(_missing(attempt, message))
        case 409 | 410:
            return Conflict(told) if code == 409 else Expired(told)
        case 0 | 408 | 429 | 500 | 502 | 503 | 504:
            return Unreachable(f"the cluster cannot answer at present ({code or 'TLS'}): {told}")
    return Refused(f"the cluster refuses to {attempt.verb} {attempt.resource} ({code}): {told}")


def _missing(attempt: Attempt, message: str | None) -> str:
    """An object, or the whole kind: only of an object the API server speaks in a Status."""
    if message is None:
        return f"the cluster has no {KIND}: Modelwright is not installed on it, or this is another one"
    return f"{attempt.resource} {attempt.name!r} is not in namespace {attempt.namespace}"


def _message(body: str) -> str | None:
    """What the API server says in a Status; None where something else has answered."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return (
        str(found.get("message", "")) if isinstance(found, dict) and found.get("kind") == "Status" else None
    )


def _forbidden(attempt: Attempt, message: str) -> str:
    found = _USER.search(message)
    who = found[1] if found else "USER"
    role, verbs = ROLES[attempt.resource]
    space = attempt.namespace
    return (
        f"{who} may not {attempt.verb} {attempt.resource} in namespace {space}. An administrator can allow it:\n"
        f"  kubectl create role {role} -n {space} --verb={verbs} --resource={attempt.resource}\n"
        f"  kubectl create rolebinding {role} -n {space} --role={role} --user={who}"
    )


def not_there(name: str, namespace: str, names: Sequence[str] | None) -> NotFound:
    """An InferenceService that is not there, with what is; `names` is None where they may not be listed."""
    text = f"there is no InferenceService {name} in namespace {namespace}"
    if names is None:
        return NotFound(text)
    if not names:
        return NotFound(f"{text}, nor any other: is it another namespace (-n)?")
    near = difflib.get_close_matches(name, names, n=NEAR)
    if near:
        return NotFound(f"{text}. Is it {' or '.join(near)}?")
    more = f" and {len(names) - ALL} more" if len(names) > ALL else ""
    return NotFound(f"{text}. There are: {', '.join(sorted(names)[:ALL])}{more}")
