"""Real callers send rows like those of the hold-out, and others: what is counted, judged, said and written."""

from __future__ import annotations

import json
import time
import urllib.request
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from cluster import kind
from sklearn.metrics import accuracy_score
from support.correlated import COLUMNS, drawing, rows, table, truth
from support.kubectl import Kubectl, Object, condition, message
from support.manifests import config_map, inference_service, secret, training_job
from support.rowstream import Caller, Stream, next_window, reachable, streaming
from support.watching import watching

from modelwright_serving.feedback.keys import TAG_BYTES, Key

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("operator"),
    pytest.mark.skipif(kind.engine_answers(), reason="a Service of kind cannot be reached from this host"),
]

WINDOW = 10
# After a window has ended, its pods are asked, and the status is written.
LAG = 8
KEY = "a key of tests, of at least thirty-two bytes"
DRIFT = {"windowSeconds": WINDOW, "minSamples": 400, "consecutive": 2}


@dataclass
class Watched:
    """The services under test, and the streams of rows to some of them."""

    kubectl: Kubectl
    streams: dict[str, Stream] = field(default_factory=dict)
    calm: list[Object] = field(default_factory=list)
    began: float = 0.0

    def address(self, name: str) -> str:
        """Of a service."""
        return reachable(self.kubectl.get("service", name)["spec"]["clusterIP"])

    def caller(self, name: str) -> Caller:
        """A caller of a service."""
        return Caller(self.address(name), name)

    def window(self, name: str, number: int, rows: int) -> Object:
        """Waits until the status shows a window with so many rows; gives status.monitoring."""

        def shows(found: Object) -> bool:
            seen = monitoring(found)
            return seen.get("windowStart") == start_of(number) and seen.get("rows") == rows

        found = self.kubectl.wait("mwisvc", name, shows, within=60, what=f"{rows} rows in window {number}")
        return monitoring(found)


def monitoring(found: Object) -> Object:
    """What the status says of the last window."""
    seen: Object = found.get("status", {}).get("monitoring") or {}
    return seen


def start_of(window: int) -> str:
    """When a window began, as the status has it."""
    return datetime.fromtimestamp(window * WINDOW, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def services() -> Iterator[Object]:
    """All of them; each test has its own."""
    drift = {"drift": DRIFT}
    slo = {"availability": 0.999, "latencySeconds": 0.5}
    yield inference_service("calm", version="one-1", monitoring={**drift, "slo": slo})
    yield inference_service("moved", version="one-1", monitoring=drift)
    yield inference_service("flipped", version="one-1", monitoring=drift)
    yield inference_service("killed", version="one-1", monitoring=drift, replicas=2)
    yield inference_service("divided", version="one-1", monitoring=drift)
    yield inference_service("unwatched", version="one-1")
    feedback = {
        "secretRef": {"name": "feedback"},
        "maxAgeSeconds": 3600,
        "metrics": [{"name": "accuracy", "min": 0.99}, {"name": "roc_auc", "min": 0.6}],
    }
    yield inference_service("labelled", version="one-1", monitoring={**drift, "feedback": feedback})


@pytest.fixture(scope="module")
def watched(shared: Kubectl) -> Iterator[Watched]:
    """Two models of the same table, and the services; rows go to three of them until the module ends."""
    data = {"uri": "configmap://numbers/rows.csv", "target": "label", "holdout": {"fraction": 0.4}}
    for name, strength in (("one", 1.0), ("two", 0.01)):
        recipe = {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"C": strength}}
        shared.apply(training_job(name, data=data, sklearn=recipe))
    shared.apply(config_map("numbers", rows_csv=table()), secret("feedback", {"key": KEY}), *services())
    names = [each["metadata"]["name"] for each in services()]
    for name in names:
        shared.condition("mwisvc", name, "Ready", "True", within=240)
    watched = Watched(shared)
    with ExitStack() as stack:
        stack.enter_context(watching(shared, "calm", watched.calm.append))
        watched.began = time.time()
        draws = {
            "calm": drawing(10**6),
            "moved": drawing(2 * 10**6, moved=0.5),
            "flipped": drawing(3 * 10**6, flipped=True),
        }
        for name, draw in draws.items():
            watched.streams[name] = stack.enter_context(streaming(watched.address(name), name, draw))
        yield watched


def soon(watched: Watched, name: str, reason: str) -> Object:
    """DriftDetected is True at the end of the second whole window."""
    found = watched.kubectl.condition("mwisvc", name, "DriftDetected", "True", reason, within=90)
    transition = condition(found, "DriftDetected")["lastTransitionTime"]  # type: ignore[index]
    took = datetime.fromisoformat(transition).timestamp() - watched.began
    assert took <= 3 * WINDOW + LAG, f"{took} s after the first row"
    return found


def test_a_shifted_feature_is_named_after_two_windows(watched: Watched) -> None:
    found = soon(watched, "moved", "FeatureDrift")

    worst = monitoring(found)["worst"][0]
    assert worst["feature"] == "third"
    assert abs(worst["value"]) > worst["threshold"]
    assert "third" in message(found, "DriftDetected")
    assert condition(found, "Ready")["status"] == "True"  # type: ignore[index]
    said = [
        text for _, reason, text in watched.kubectl.events("InferenceService", "moved") if "Drift" in reason
    ]
    assert any("third" in text for text in said), said


def test_a_flipped_correlation_is_found_while_no_column_alone_shows_it(watched: Watched) -> None:
    found = soon(watched, "flipped", "CorrelationDrift")

    beyond = {
        each["feature"] for each in monitoring(found)["worst"] if abs(each["value"]) > each["threshold"]
    }
    assert beyond & set(COLUMNS) == set(), beyond


def test_what_a_pod_has_counted_before_it_is_deleted_is_in_the_result(watched: Watched) -> None:
    sent = 0
    pods = watched.kubectl.all("pod", "modelwright.dev/inference-service=killed")
    assert len(pods) == 2
    draw, window = drawing(4 * 10**6), next_window(WINDOW, 7)
    for turn in range(40):
        with watched.caller("killed") as caller:  # each connection may lead to the other pod
            caller.ask(draw(20))
        sent += 20
        if turn == 15:
            watched.kubectl.delete("pod", pods[0]["metadata"]["name"], "--wait=false")
        time.sleep(0.1)
    assert time.time() // WINDOW == window

    assert watched.window("killed", window, sent)["requests"] == 40


def test_rows_of_a_canary_and_of_a_shadow_are_not_those_of_the_stable_revision(watched: Watched) -> None:
    rollout = {"strategy": "Canary", "steps": [{"weight": 50, "mirror": 50, "holdSeconds": 3600}]}
    watched.kubectl.apply(
        inference_service("divided", version="two-1", monitoring={"drift": DRIFT}, rollout=rollout)
    )
    watched.kubectl.wait(
        "mwisvc",
        "divided",
        lambda found: (found["status"].get("canary") or {}).get("state") == "Shifting",
        what="shared",
    )
    draw, window = drawing(5 * 10**6), next_window(WINDOW, 6)
    with watched.caller("divided") as caller:
        tracks = [caller.ask(draw(40)).track for _ in range(40)]
    assert time.time() // WINDOW == window
    stable = tracks.count("stable")
    assert 0 < stable < 40

    seen = watched.window("divided", window, 40 * stable)
    assert seen["version"] == "one-1"
    assert seen["requests"] == stable


def test_labels_are_scored_as_scikit_learn_does_and_each_bad_token_is_counted(watched: Watched) -> None:
    given, outcomes = rows(600, seed=7), truth(rows(600, seed=7), seed=7)
    window = next_window(WINDOW, 5)
    with watched.caller("labelled") as caller:
        answers = [caller.ask(part, tokens=True) for part in np.split(given, 4)]
        labels = [label for answer in answers for label in answer.labels]
        tokens = [token for answer in answers for token in answer.tokens]

        assert caller.label(tokens[:1], ["perhaps"])["unknownLabel"] == 1
        # Labels that come together are taken to be alike, so those of one POST would decide little.
        for part in range(0, 600, 10):
            assert caller.label(tokens[part : part + 10], outcomes[part : part + 10])["counted"] == 10
        assert caller.label(tokens[:20], outcomes[:20])["duplicate"] == 20
        assert caller.label([forged(token) for token in tokens[:10]], outcomes[:10])["forged"] == 10
        assert caller.label([aged(token, hours=3) for token in tokens[:5]], outcomes[:5])["expired"] == 5
    assert time.time() // WINDOW == window

    seen = watched.window("labelled", window, 600)
    counts = {"counted": 600, "duplicate": 20, "forged": 10, "expired": 5, "unknownLabel": 1}
    assert seen["feedback"].items() >= {**counts, "state": "Ready"}.items()
    scores = {each["name"]: each for each in seen["scores"]}
    assert scores["accuracy"]["value"] == pytest.approx(accuracy_score(outcomes, labels), abs=1e-5)
    assert scores["accuracy"]["samples"] == 600
    assert (scores["accuracy"]["verdict"], scores["roc_auc"]["verdict"]) == ("Fail", "Pass")
    found = watched.kubectl.condition("mwisvc", "labelled", "ScoreBelowTarget", "True", within=30)
    assert "accuracy" in message(found, "ScoreBelowTarget")


def forged(token: str) -> str:
    """A token of which one character is another."""
    return f"{token[:20]}{'A' if token[20] != 'A' else 'B'}{token[21:]}"


def aged(token: str, hours: int) -> str:
    """The token as the service itself would have given it so many hours ago."""
    content = bytearray(urlsafe_b64decode(token)[:-TAG_BYTES])
    content[7:10] = (int.from_bytes(content[7:10], "big") - hours).to_bytes(3, "big")
    return urlsafe_b64encode(content + Key(KEY.encode(), "labelled").tag(bytes(content))).decode()


def test_a_service_that_is_not_watched_is_not_asked_and_not_written(watched: Watched) -> None:
    before = watched.kubectl.get("mwisvc", "unwatched")["metadata"]["resourceVersion"]
    draw, begun = drawing(6 * 10**6), time.monotonic()
    with watched.caller("unwatched") as caller:
        while time.monotonic() - begun < WINDOW:
            caller.ask(draw(20))
            time.sleep(0.2)

    assert watched.kubectl.get("mwisvc", "unwatched")["metadata"]["resourceVersion"] == before
    (pod,) = watched.kubectl.all("pod", "modelwright.dev/inference-service=unwatched")
    # A server begins to count when it is first asked, which is now.
    assert [each for each in asked(pod)["windows"] if each["rows"]] == []


def asked(pod: Object) -> Any:
    """What a pod says of its windows."""
    url = f"http://{pod['status']['podIP']}:9090/monitor?window={WINDOW}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def test_rows_like_those_of_the_hold_out_never_alarm_and_then_silence_costs_no_write(
    watched: Watched,
) -> None:
    watched.kubectl.wait("mwisvc", "calm", lambda found: monitoring(found).get("inARow", 0) >= 4)
    stream = watched.streams["calm"]
    stream.stop()
    time.sleep(WINDOW + LAG)
    before = watched.kubectl.get("mwisvc", "calm")
    time.sleep(WINDOW + LAG)
    after = watched.kubectl.get("mwisvc", "calm")

    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert len({monitoring(each).get("windowStart") for each in watched.calm} - {None}) >= 4
    alarms = [
        each for each in watched.calm if (condition(each, "DriftDetected") or {}).get("status") == "True"
    ]
    assert alarms == []
    assert stream.failures == []
    # The cluster has no Prometheus operator, so the objectives make no object, and the service is Ready without one.
    assert condition(after, "Ready")["status"] == "True"  # type: ignore[index]
