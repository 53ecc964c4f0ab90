"""What `status` draws of an InferenceService: all that somebody needs who sees it for the first time."""

from __future__ import annotations

from typing import Any

import pytest
from unit.cli.given import a_canary, a_rolled_back_canary, a_served_version, drawn, measures, seen
from unit.given.resources import a_version
from unit.inferenceservice.rollout.test_canary import GOOD, after

from modelwright.view.drawing import picture
from modelwright.view.format import table


def test_without_a_rollout_it_says_so() -> None:
    text = drawn(a_served_version())
    assert "Done: no rollout is in progress; churn-1 has all of the traffic." in text
    assert "1 of 1 pods ready, answers 100 %" in text
    assert "http://churn.team.svc" in text
    assert "Steps" not in text


def test_a_canary_is_shown_with_its_share_its_steps_and_its_checks() -> None:
    service = a_canary(analysis={"maxP99Increase": 0.5, "minAgreement": 0.95})
    stable, canary = service.revision("stable"), service.revision("canary")
    assert drawn(service).splitlines()[:19] == [
        "InferenceService churn in namespace team",
        "InProgress: churn-2 answers 10 % of the requests, at step 1 of 2; waits for the metrics of its pods.",
        "",
        f"stable   churn-1  revision {stable}  4 of 4 pods ready, answers 90 %",
        f"canary   churn-2  revision {canary}  1 of 1 pods ready, answers 10 %; Shifting, started 2 s ago",
        "url      http://churn.team.svc",
        f"preview  http://{service.canary_name}.team.svc (only the canary answers there)",
        "",
        "Steps (strategy Canary)",
        "  NOW      1  answers 10 %  for 1 min or more  began 1 s ago, 59 s of its hold left",
        "  to come  2  answers 50 %  for 2 min or more",
        "",
        "What has to hold of the canary at each step, counted since the step began",
        "  at most 1 % of its requests fail",
        "  its 99th percentile is at most 50 % above the stable one's",
        "  at least 95 % of the labels in mirrored answers are the stable one's",
        "  no container ends by itself",
        "  a step takes 100 requests or more to pass",
        "  and 3 failed ones or more to fail",
    ]


def test_when_the_hold_is_over_it_says_what_the_step_waits_for() -> None:
    assert "its hold is over: it waits for its checks" in drawn(after(a_canary(), 61))


def test_a_step_that_was_passed_is_done_and_its_decision_told_with_its_numbers() -> None:
    service = after(measures(a_canary(), GOOD), 61)
    text = drawn(service)
    assert "done  1  answers 10 %" in text
    assert "NOW   2  answers 50 %" in text
    assert "waits for the pods that it needs" in text
    assert "it gets 50 % when the pods for that are ready" in text
    told = "went on to the next step at step 1: ErrorRateWithinLimit (failed requests 0 %, limit 1 %, 1,000 samples)"
    assert f"churn-2 {told}" in text


def test_a_canary_that_was_rolled_back_tells_why_and_what_to_do() -> None:
    text = drawn(a_rolled_back_canary())
    assert "RolledBack: churn-2 was rolled back: ErrorRateTooHigh: errorRate is 0.5" in text
    assert "churn-1 has all of the traffic" in text
    assert "modelwright rollout retry churn" in text
    assert "change the spec: go back to churn-1, name a better version" in text
    assert "FAILED  1  answers 10 %" in text
    assert "failed requests 50 %, limit 1 %, 100 samples" in text
    assert "What has to hold" not in text


def test_a_paused_canary_tells_who_keeps_it() -> None:
    by_request = drawn(a_canary(), status={"canary": {"paused": True}})
    assert "paused there" in by_request
    assert "modelwright rollout resume churn" in by_request
    by_spec = drawn(a_canary(paused=True))
    assert "spec.rollout.paused is false" in by_spec


def test_a_spec_that_the_operator_has_not_seen_is_told_first() -> None:
    text = drawn(a_served_version(), metadata={"generation": 9})
    assert "NotSeen: the operator has not looked at generation 9 of the spec yet" in text


def test_a_first_version_that_does_not_start_is_told_with_its_reason() -> None:
    service = a_served_version()
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    text = drawn(
        service, status={"canary": {"state": "Failed", "reason": "ImagePullFailed", "message": "no such"}}
    )
    assert "Failed: churn-2 was given up: ImagePullFailed: no such; churn-1 has all of the traffic" in text


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (
            {"canary": {"verdict": "TooFewSamples", "failedLooks": 2}},
            "At present: TooFewSamples, 2 failed looks",
        ),
        ({"canary": {"url": "http://preview"}}, "preview  http://preview (only the canary answers there)"),
        ({"canary": {"state": "Pondering"}}, "InProgress: churn-2 is Pondering"),
        (
            {
                "rejected": [
                    {"at": "x", "version": "churn-0", "digest": "d", "reason": "TooSlow", "revision": "r"}
                ]
            },
            "churn-0  revision r  TooSlow  at an unknown time",
        ),
        (
            {"retired": {"revision": "r", "version": "churn-0", "until": "2030-01-01T00:00:00Z"}},
            "retired  churn-0  revision r",
        ),
        (
            {"lastDecision": {"at": "x", "revision": "r", "step": 1, "verdict": "Muse", "reason": "Tea"}},
            "revision r Muse at step 2: Tea",
        ),
    ],
)
def test_what_a_newer_operator_tells_is_shown_too(status: dict[str, Any], told: str) -> None:
    assert told in drawn(a_canary(), status=status)


def test_a_step_with_approval_says_how_to_give_it() -> None:
    steps = [{"weight": 10, "holdSeconds": 1, "approval": True}]
    service = after(a_canary(), 10)
    revision = service.revision("canary")
    text = drawn(service, spec={"rollout": {"steps": steps}})
    assert f"spec.rollout.approvedRevision: {revision}, or modelwright rollout promote churn" in text
    assert "until it is approved" in text
    approved = drawn(service, spec={"rollout": {"steps": steps, "approvedRevision": revision}})
    assert "waits for approval" not in approved


def test_who_meets_the_canary_is_told() -> None:
    text = drawn(a_canary(traffic={"headers": [{"name": "X-Version", "value": "next"}], "sticky": "X-User"}))
    assert "the header X-Version: next always go to the canary" in text
    assert "decided by the header X-User" in text


def test_a_mirror_is_told() -> None:
    steps = [{"weight": 0, "mirror": 50, "holdSeconds": 60}]
    assert "answers 0 %  copies of 50 % of the rest" in drawn(a_canary(), spec={"rollout": {"steps": steps}})


def test_a_request_that_waits_is_told() -> None:
    asked = {"annotations": {"modelwright.dev/rollout": "promote@abc#t1"}}
    assert "The request promote@abc#t1 waits for the operator." in drawn(a_canary(), metadata=asked)
    assert "waits for the operator" not in drawn(
        a_canary(), metadata=asked, status={"lastHandledRequest": "t1"}
    )


def test_a_long_history_is_cut() -> None:
    service = a_canary()
    decision = {
        "at": "2026-01-01T00:00:00Z",
        "revision": "r",
        "step": 0,
        "verdict": "Advance",
        "reason": "Fine",
    }
    told = {"lastDecision": decision, "history": [decision] * 9}
    assert "and 4 more, with -o json" in drawn(service, status=told)


def test_a_bare_object_is_drawn_too() -> None:
    bare = seen(a_served_version(), status=dict.fromkeys(a_served_version().status))
    text = "\n".join(picture(bare, a_served_version().world.now))
    assert "NotSeen" in text


def test_columns_stand_under_each_other_and_empty_ones_are_left_out() -> None:
    assert table([("a", "", "long"), ("bbb", "", "x")]) == ["a    long", "bbb  x"]
    assert table([]) == []
