"""What each command does: reads, asks, waits, and tells. What it all means is in the pure modules beside this one."""

from __future__ import annotations

import json
import time
from dataclasses import replace

from modelwright.api.requests import ANNOTATION, Request
from modelwright.cli import outcome, request, screen
from modelwright.cli.cluster import Cluster
from modelwright.cli.document import document
from modelwright.cli.errors import Complaint, Conflict, NoAnswer, Refused
from modelwright.cli.following import Following, Trouble
from modelwright.cli.options import Ask, Show
from modelwright.cli.viewing import View, now, view
from modelwright.view.drawing import picture
from modelwright.view.model import InferenceService
from modelwright.view.progress import is_rolled_back, stage

# Writes that meet another writer, until somebody has to look.
TRIES = 5
# The event that tells why may come a moment after the status.
EVENT_TRIES, EVENT_PAUSE = 6, 0.5


def show(cluster: Cluster, wanted: Show) -> None:
    """`status`: once, or until the rollout ends."""
    if wanted.watch:
        _watch(cluster, wanted, view(wanted.output))
        return
    seen = cluster.get(wanted.place.name)
    if wanted.output == "json":
        screen.say(json.dumps(document(seen), indent=2).splitlines())
    else:
        screen.say(picture(seen, now()))


def _watch(cluster: Cluster, wanted: Show, viewer: View) -> None:
    try:
        with viewer.page(), Following(cluster, wanted.place.name) as following:
            last, canary = _until_it_ends(following, wanted, viewer)
    finally:
        viewer.end()
    found = stage(last)
    if is_rolled_back(last, canary):
        found = replace(found, result="RolledBack")
    if found.result != "Done":
        raise Refused(f"{found.result}: {found.sentence}")


def _until_it_ends(following: Following, wanted: Show, viewer: View) -> tuple[InferenceService, str | None]:
    """Shows what happens; gives the state that ended it, and the revision that was the canary before."""
    canary = None
    for seen in following.states(wanted.timeout):
        match seen:
            case InferenceService():
                viewer.state(seen)
                canary = seen.canary.revision if seen.canary else canary
                if stage(seen).ended:
                    return seen, canary
            case Trouble():
                viewer.trouble(seen.message)
            case None:
                viewer.tick()
    raise NoAnswer(f"the rollout has not ended within {wanted.timeout:g} s")


def ask(cluster: Cluster, wanted: Ask) -> None:
    """The other commands: writes the request, and waits for what comes of it."""
    seen, asked = _write(cluster, wanted)
    if not wanted.wait:
        screen.say([f"asked for: {request.written(asked)}"])
        return
    if outcome.waits_for_pods(asked, seen):
        screen.tell("the canary has no share of the traffic yet: it is carried out when its pods are ready")
    after = _handled(cluster, wanted, seen, asked)
    if not outcome.is_done(asked, seen, after):
        raise Refused(f"the operator has not done it: {_why(cluster, after, asked)}")
    found = stage(after)
    screen.say([f"{asked.action}: done. {found.result}: {found.sentence}.", *found.advice])


def _write(cluster: Cluster, wanted: Ask) -> tuple[InferenceService, Request]:
    """Writes the request on the object as it was read; gives both."""
    user = None
    for _ in range(TRIES):
        seen = cluster.get(wanted.place.name)
        asked = request.request(wanted.action, seen, wanted.revision, request.token(now()))
        user = user or cluster.user()
        try:
            cluster.patch(seen.name, request.patch(seen, asked, user))
        except Conflict:
            continue
        return seen, asked
    raise NoAnswer(f"nothing was asked for: {wanted.place.name} changes all the time. Try again")


def _handled(cluster: Cluster, wanted: Ask, seen: InferenceService, asked: Request) -> InferenceService:
    """The object as it was when the operator had dealt with the request."""
    with Following(cluster, seen.name) as following:
        for found in following.states(wanted.timeout):
            if isinstance(found, Trouble):
                screen.tell(f"{found.message}; trying again")
            elif found is not None and outcome.is_handled(asked, found):
                return found
            elif found is not None and outcome.is_replaced(asked, found):
                raise Refused(f"another request has taken its place: {found.request or 'none'}")
    raise NoAnswer(_unheard(wanted, seen, asked))


def _unheard(wanted: Ask, seen: InferenceService, asked: Request) -> str:
    take_away = f"kubectl annotate -n {seen.metadata.namespace} mwisvc {seen.name} {ANNOTATION}-"
    if outcome.waits_for_pods(asked, seen):
        why = "the pods of the canary are not ready"
    else:
        why = "is the operator running? kubectl get pods -A -l app.kubernetes.io/name=modelwright"
    return (
        f"the operator has not done it within {wanted.timeout:g} s: {why}\n"
        f"The request stands, and is carried out when that changes. To take it away: {take_away}"
    )


def _why(cluster: Cluster, after: InferenceService, asked: Request) -> str:
    """What the operator told when it refused."""
    for tried in range(EVENT_TRIES):
        try:
            told = outcome.complaint(cluster.events(after), asked)
        except Complaint as error:
            return f"{stage(after).sentence}. The event that tells why cannot be read: {error}"
        if told is not None:
            return told
        time.sleep(EVENT_PAUSE if tried + 1 < EVENT_TRIES else 0)
    return f"{stage(after).sentence}. There is no event {outcome.REFUSED} that tells why"
