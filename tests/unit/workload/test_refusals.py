"""Whoever refuses is quoted, the reason is one word, and the message says what to do."""

from __future__ import annotations

import pytest

from modelwright.common.conditions import Progress, done, reconciling, stalled
from modelwright.common.resources import JOBS
from modelwright.engine.objects import Key
from modelwright.engine.refusal import Refusal, RefusalKind
from modelwright.workload.refusals import first_problem, refusal_problem, with_refusals

JOB = Key(JOBS, "team", "iris-1")
POLICY = (
    "jobs.batch \"iris-1\" is forbidden: ValidatingAdmissionPolicy 'team-label' with binding 'all' denied request: "
    "every workload needs the label team"
)
WEBHOOK = (
    'admission webhook "validate.kyverno.svc" denied the request: require-requests: CPU requests are required'
)
QUOTA = "pods are forbidden: exceeded quota: room, requested: pods=1, limited: pods=1"
UNSET = "pods are forbidden: failed quota: compute: must specify limits.cpu for: fetch,publish,train"
LIMIT = "pods are forbidden: maximum memory usage per Container is 64Mi, but limit is 2Gi"
SECURITY = 'pods are forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
RIGHT = (
    'jobs.batch is forbidden: User "system:serviceaccount:mw:operator" cannot create resource "jobs" in API group '
    '"batch" in the namespace "team"'
)
TERMINATING = (
    'jobs "x" is forbidden: unable to create new content in namespace team because it is being terminated'
)
SCHEMA = (
    'Job.batch "iris-1" is invalid: spec.template.spec.containers[0].resources.requests: Invalid value: "2Gi"'
)


def refused(message: str, kind: RefusalKind = "Forbidden") -> Refusal:
    return Refusal(JOB, "create", kind, message)


@pytest.mark.parametrize(
    ("kind", "sentence", "reason", "remedy", "permanent"),
    [
        ("Denied", POLICY, "PolicyDenied", "change what the policy asks for", False),
        ("Denied", WEBHOOK, "PolicyDenied", "change what the policy asks for", False),
        ("Forbidden", QUOTA, "QuotaExceeded", "free some of the quota", False),
        ("Forbidden", UNSET, "QuotaExceeded", "change spec.resources", False),
        ("Forbidden", LIMIT, "LimitRangeViolated", "or the LimitRange", False),
        ("Forbidden", SECURITY, "PodSecurityViolation", "Pod Security level of the namespace", False),
        ("Forbidden", RIGHT, "RightMissing", "grant the operator what its chart does", False),
        (
            "NamespaceTerminating",
            TERMINATING,
            "NamespaceTerminating",
            "the namespace is being deleted",
            False,
        ),
        ("NameTaken", "Service shop exists already", "NameTaken", "choose another name", False),
        ("AnotherOperator", "a/b writes it too", "AnotherOperator", "uninstall it", False),
        ("Forbidden", "not today", "Forbidden", "have the API server allow it", False),
        ("Invalid", SCHEMA, "Refused", "change the spec", True),
        # A policy that is written by others may use the words of a quota.
        ("Denied", POLICY + " exceeded quota", "PolicyDenied", "change what the policy asks for", False),
    ],
)
def test_each_refuser_is_quoted_with_what_to_do(
    kind: RefusalKind, sentence: str, reason: str, remedy: str, *, permanent: bool
) -> None:
    found = refusal_problem(sentence, kind)

    assert (found.reason, found.permanent) == (reason, permanent)
    assert sentence in found.message
    assert remedy in found.message


def test_the_object_is_named() -> None:
    found = first_problem([refused(QUOTA)])

    assert found is not None
    assert found.message.startswith(f"Job iris-1 is refused: {QUOTA}; ")


def test_what_cannot_be_deleted_is_not_called_refused() -> None:
    found = first_problem([Refusal(JOB, "delete", "Forbidden", RIGHT)])

    assert found is not None
    assert found.message.startswith("Job iris-1 cannot be deleted: jobs.batch is forbidden")


@pytest.mark.parametrize("used", ["pods=0", "limits.memory=3Gi,pods=1"])
@pytest.mark.parametrize("pod", ["iris-1-xw747", ""])
def test_what_differs_from_try_to_try_is_left_out(pod: str, used: str) -> None:
    sentence = (
        f'Error creating: pods "{pod}" is forbidden: exceeded quota: room, requested: pods=1, '
        f"used: {used}, limited: pods=1"
    )

    assert refusal_problem(sentence).message.startswith(f"{QUOTA}; ")


def test_a_sentence_without_end_is_cut() -> None:
    assert len(refusal_problem("x" * 100_000).message) < 1200


def test_nothing_refused_changes_nothing() -> None:
    verdict = done("Serving", "it serves")

    assert with_refusals(verdict, ()) is verdict


@pytest.mark.parametrize(
    ("refusal", "progress"),
    [(refused(QUOTA), Progress.RECONCILING), (refused(SCHEMA, "Invalid"), Progress.STALLED)],
)
@pytest.mark.parametrize("verdict", [done("Serving", "it serves"), reconciling("RunPending", "run 1 starts")])
def test_a_refusal_stands_in_ready(refusal: Refusal, progress: Progress, verdict: object) -> None:
    found = with_refusals(verdict, [refusal])  # type: ignore[arg-type]

    assert (found.ready, found.progress) == (False, progress)


def test_what_is_stalled_for_another_reason_stays_so() -> None:
    verdict = stalled("RolledBack", "it was rolled back")

    assert with_refusals(verdict, [refused(QUOTA)]) is verdict
