"""Runs the commands: reads the object, writes requests, waits, and prints. The pure modules beside it decide."""

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

# How many conflicts with other writers are retried before the command gives up.
TRIES = 5
# The event with the reason may come a moment after the status.
EVENT_TRIES, EVENT_PAUSE = 6, 0.5


def show(cluster: Cluster, command: Show) -> None:
    """Runs `status`: once, or with --watch until the rollout ends."""
    if command.watch:
        _watch(cluster, command, view(command.output))
        return
    service = cluster.get(command.place.name)
    if command.output == "json":
        screen.show(json.dumps(document(service, cluster.metrics(service)), indent=2).splitlines())
    else:
        screen.show(picture(service, now(), cluster.metrics(service)))


def _watch(cluster: Cluster, command: Show, viewer: View) -> None:
    try:
        with viewer.page(), Following(cluster, command.place.name) as following:
            last, canary = _until_it_ends(cluster, following, command, viewer)
    finally:
        viewer.end()
    final = stage(last)
    if is_rolled_back(last, canary):
        final = replace(final, result="RolledBack")
    if final.result != "Done":
        raise Refused(f"{final.result}: {final.sentence}")


def _until_it_ends(
    cluster: Cluster, following: Following, command: Show, viewer: View
) -> tuple[InferenceService, str | None]:
    """Shows the rollout. Returns the final state, and the last revision that was the canary."""
    canary = None
    for state in following.states(command.timeout):
        match state:
            case InferenceService():
                viewer.state(state, cluster.metrics(state))
                canary = state.canary.revision if state.canary else canary
                if stage(state).ended:
                    return state, canary
            case Trouble():
                viewer.trouble(state.message)
            case None:
                viewer.tick()
    raise NoAnswer(f"the rollout has not ended within {command.timeout:g} s")


def ask(cluster: Cluster, command: Ask) -> None:
    """Runs the other commands: writes the request, and waits for the operator to carry it out or refuse it."""
    service, sent = _write(cluster, command)
    if not command.wait:
        screen.show([f"asked for: {request.written(sent)}"])
        return
    if outcome.waits_for_pods(sent, service):
        screen.report("the canary has no share of the traffic yet: it is carried out when its pods are ready")
    after = _handled(cluster, command, service, sent)
    if not outcome.is_done(sent, service, after):
        raise Refused(f"the operator has not done it: {_why(cluster, after, sent)}")
    current = stage(after)
    screen.show([f"{sent.action}: done. {current.result}: {current.sentence}.", *current.advice])


def _write(cluster: Cluster, command: Ask) -> tuple[InferenceService, Request]:
    """Writes the request. Returns the object as it was read for it, and the request."""
    user = None
    for _ in range(TRIES):
        service = cluster.get(command.place.name)
        sent = request.request(command.action, service, command.revision, request.token(now()))
        user = user or cluster.user()
        try:
            cluster.patch(service.name, request.patch(service, sent, user))
        except Conflict:
            continue
        return service, sent
    raise NoAnswer(f"nothing was asked for: {command.place.name} changes all the time. Try again")


def _handled(cluster: Cluster, command: Ask, service: InferenceService, sent: Request) -> InferenceService:
    """Waits until the operator has handled the request, and returns the object with which it had."""
    with Following(cluster, service.name) as following:
        for state in following.states(command.timeout):
            if isinstance(state, Trouble):
                screen.report(f"{state.message}; trying again")
            elif state is not None and outcome.is_handled(sent, state):
                return state
            elif state is not None and outcome.is_replaced(sent, state):
                raise Refused(f"another request has taken its place: {state.request or 'none'}")
    raise NoAnswer(_not_handled(command, service, sent))


def _not_handled(command: Ask, service: InferenceService, sent: Request) -> str:
    """Why the operator may not have handled the request, and how to take it back."""
    take_away = f"kubectl annotate -n {service.metadata.namespace} mwisvc {service.name} {ANNOTATION}-"
    if outcome.waits_for_pods(sent, service):
        why = "the pods of the canary are not ready"
    else:
        why = "is the operator running? kubectl get pods -A -l app.kubernetes.io/name=modelwright"
    return (
        f"the operator has not done it within {command.timeout:g} s: {why}\n"
        f"The request stands, and is carried out when that changes. To take it away: {take_away}"
    )


def _why(cluster: Cluster, after: InferenceService, sent: Request) -> str:
    """The message of the operator's event about the refusal."""
    for attempt in range(EVENT_TRIES):
        try:
            message = outcome.complaint(cluster.events(after), sent)
        except Complaint as error:
            return f"{stage(after).sentence}. The event that tells why cannot be read: {error}"
        if message is not None:
            return message
        time.sleep(EVENT_PAUSE if attempt + 1 < EVENT_TRIES else 0)
    return f"{stage(after).sentence}. There is no event {outcome.REFUSED} that tells why"
