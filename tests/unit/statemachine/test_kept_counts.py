"""What pods have counted in a step outlives the operator: whenever it dies, the next one counts on as if it had not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest
from fakes.api import Call, Crash, Fault, Moment
from unit.given.pods import Pod
from unit.given.resources import a_served_version, a_version
from unit.given.world import NAMESPACE
from unit.inferenceservice.rollout.test_canary import rollout
from unit.inferenceservice.test_requests import asks

from modelwright.common.facts import POD_COUNTS
from modelwright.common.primary import Primary
from modelwright.common.resources import CONFIG_MAPS, REVISION
from modelwright.engine.objects import Key, labels, owner_uid, uid
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.analysis.exposition import Counts, Scrape
from modelwright.inferenceservice.analysis.scrape_targets import ScrapeTargets, scrape_targets
from modelwright.inferenceservice.manifests.names import counts_name
from modelwright.sampling.pods import StepAnswers

# Long enough for the step not to end in the course of a test.
STEPS = ({"weight": 10, "holdSeconds": 86_400}, {"weight": 20, "holdSeconds": 86_400})
CODES = ("modelwright_requests_total", "200")
CELL = ("modelwright_request_duration_seconds_cell", "0.105")


@dataclass
class Server:
    """What one pod counts. A stable one delegates to the canary, and compares answers."""

    pod: Pod
    canary: str
    started: float = 1.0
    counts: Counts = field(default_factory=dict)

    def answers(self, requests: float) -> None:
        """Callers come."""
        about = {
            ("modelwright_delegated_requests_total", self.canary, "Answered"): requests,
            ("modelwright_shadow_labelled_requests_total", self.canary): requests,
            ("modelwright_shadow_agreement_total", self.canary): 0.1 * requests,
        }
        for sample, more in {CODES: requests, CELL: requests, **about}.items():
            self.counts[sample] = self.counts.get(sample, 0.0) + more

    def restarts(self) -> None:
        """Its container ends and starts again."""
        self.started += 1
        self.counts = {}


def counted(found: StepCounts) -> StepCounts:
    """What was counted, without what tells of the counting."""
    return replace(found, look=0, kept="", agreement=round(found.agreement, 6))


def numbers(found: StepCounts) -> list[Mapping[Any, float]]:
    """Everything that was counted."""
    return [
        *(
            found.answered,
            found.stable_answered,
            found.delegated,
            found.canary_durations,
            found.stable_durations,
        ),
        {"labelled": found.labelled, "agreement": found.agreement},
    ]


class Operator:
    """One life of the operator: what it remembers of the step, and nothing else."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self._subject: object = None
        self._answers: StepAnswers | None = None

    def measures(self) -> StepCounts | None:
        """It asks all pods."""
        service = self.life.service
        current = scrape_targets(service.world.cache, service.key)
        if current is None:
            return None
        if self._answers is None or current.subject != self._subject:
            self._subject, self._answers = current.subject, StepAnswers(current)
        return self.life.asks(current, self._answers)

    def looks(self, *, dies_first: bool = False) -> None:
        """It asks all pods, and plans with what they say."""
        found = self.measures()
        if dies_first:
            raise Crash
        service = self.life.service
        if found is not None:
            service.world.cache.note(service.key, POD_COUNTS, found)
        service.settles()


class Life:
    """A step with two stable pods that have served for long, and a canary's pod. `reference` is an operator that never
    dies and sees what all others see."""

    def __init__(self) -> None:
        self.service = a_served_version(replicas=2, rollout=rollout(*STEPS))
        a_version(self.service.world, "churn-2", "b").is_verified("b")
        self.service.changes(model={"version": "churn-2"}).settles()
        self.servers: dict[str, Server] = {}
        self.reference: StepAnswers | None = None
        self.came: Counter[str] = Counter()
        for part in ("stable", "stable", "canary"):
            self.starts(part).answers(100)
        self.service.has_ready(1)
        self.operator = Operator(self)

    def starts(self, part: str) -> Server:
        """A pod comes."""
        pod = self.service.starts(part)
        self.service.world.edit(
            pod.key, status={**pod.body["status"], "podIP": f"10.0.0.{len(self.servers) + 1}"}
        )
        server = Server(pod, self.service.revision("canary"))
        self.servers[uid(pod.body)] = server
        return server

    def asks(self, current: ScrapeTargets, answers: StepAnswers) -> StepCounts:
        """All pods answer, to this operator and to the one that never dies."""
        self.reference = self.reference or StepAnswers(replace(current, kept=None))
        now = self.service.world.now
        for target in current.targets:
            server = self.servers[target.uid]
            scrape = Scrape(dict(server.counts), server.started)
            answers.add(target, scrape, now)
            self.reference.add(target, scrape, now)
        self.current, self.truth = current, self.reference.fact(current, now)
        return answers.fact(current, now)

    @property
    def found(self) -> StepCounts:
        """What the planner knows."""
        counted: StepCounts | None = self.service.world.cache.fact(self.service.key, POD_COUNTS)
        assert counted is not None
        return counted

    def of(self, part: str) -> list[Server]:
        """The pods of a revision that are there, the oldest first."""
        revision, world = self.service.revision(part), self.service.world
        return [
            server
            for server in self.servers.values()
            if server.pod.key in world.api.objects and server.pod.revision == revision
        ]

    @property
    def config(self) -> Key:
        """Where it is kept."""
        return Key(CONFIG_MAPS, NAMESPACE, counts_name(Primary(self.service.body)))

    @property
    def kept(self) -> list[Call]:
        """The writes of what is kept."""
        return [call for call in self.service.world.api.writes if call.key == self.config]

    def dies_when_it_keeps(self, moment: Moment, skipped: int) -> None:
        """The operator is going to die at a write of what is kept."""
        fault = Fault(Crash, moment, skipped, where=lambda call: call.key == self.config)
        self.service.world.api.faults.append(fault)

    def compares(self, *, at_most: bool) -> None:
        """The operator has counted what the one that never died has; `at_most`: or less."""
        found, truth = counted(self.found), counted(self.truth)
        if not at_most:
            assert found == truth
            return
        for some, more in zip(numbers(found), numbers(truth), strict=True):
            assert some.keys() <= more.keys()
            assert all(value <= more[name] for name, value in some.items())

    def callers_come(self) -> None:
        """To every pod."""
        for part in ("stable", "canary"):
            for number, server in enumerate(self.of(part), 10):
                server.answers(number)
                self.came[part] += number

    def stays(self, part: str) -> None:
        """Nothing happens to the pods."""

    def restarts(self, part: str) -> None:
        """A container ends and starts again."""
        self.of(part)[0].restarts()

    def loses(self, part: str) -> None:
        """A pod goes."""
        self.service.world.drop(self.of(part)[0].pod.key)

    def gets(self, part: str) -> None:
        """A pod comes."""
        self.starts(part)


# What happens in a step to the pods of a revision; callers come between all of it.
HISTORY = (
    (Life.stays, ""),
    (Life.stays, ""),
    (Life.restarts, "stable"),
    (Life.stays, ""),
    (Life.gets, "stable"),
    (Life.loses, "stable"),
    (Life.restarts, "canary"),
    (Life.gets, "canary"),
    (Life.restarts, "stable"),
    (Life.loses, "canary"),
)
# These take counts away that only the operator still knows, until it has kept them.
TAKING = (Life.restarts, Life.loses)


def lived(life: Life, dies_before_it_plans: int | None = None) -> bool:
    """Lives through the history, with another operator whenever one dies; false if none did."""
    died = lost = False
    for number, (happens, part) in enumerate(HISTORY):
        happens(life, part)
        if number > 1:
            life.callers_come()
        try:
            life.operator.looks(dies_first=number == dies_before_it_plans)
        except Crash:
            died, lost = True, happens in TAKING
            life.service.world.restart()
            life.operator = Operator(life)
            life.operator.looks()
            life.operator.looks()
        if number > 0:
            life.compares(at_most=lost)
    return died


def test_without_a_crash_it_counts_everything_and_writes_only_when_its_pods_change() -> None:
    life = Life()
    assert not lived(life)
    assert len(life.kept) == 1 + sum(happens != Life.stays for happens, _ in HISTORY)
    assert life.found.answered == {"200": life.came["canary"]}
    assert life.found.stable_answered == {"200": life.came["stable"]}
    assert life.found.delegated == {"Answered": life.came["stable"]}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_operator_that_dies_when_it_keeps_its_counts_leaves_them_to_the_next(moment: Moment) -> None:
    for skipped in count():
        life = Life()
        life.dies_when_it_keeps(moment, skipped)
        if not lived(life):
            break
    assert skipped == len(life.kept) > 0


@pytest.mark.parametrize("event", range(1, len(HISTORY)))
def test_an_operator_that_dies_before_it_plans_leaves_its_counts_to_the_next(event: int) -> None:
    assert lived(Life(), event)


def test_a_restarted_operator_writes_nothing_that_is_kept_already() -> None:
    life = Life()
    lived(life)
    writes = len(life.service.world.api.writes)
    life.service.world.restart()
    life.operator = Operator(life)
    life.operator.looks()
    life.callers_come()
    life.operator.looks()
    assert len(life.service.world.api.writes) == writes
    life.compares(at_most=False)


def test_what_is_kept_belongs_to_the_step_and_goes_with_the_canary() -> None:
    life = Life()
    lived(life)
    body = life.service.world.api.objects[life.config]
    assert labels(body)[REVISION] == life.service.revision("canary")
    assert owner_uid(body) == uid(life.service.body)
    life.service.changes(model={"version": "churn-1"}).settles()
    assert life.config not in life.service.world.api.objects


def test_what_is_kept_of_a_step_says_nothing_about_the_next() -> None:
    life = Life()
    lived(life)
    before = life.found.since
    asks(life.service, "promote").settles()
    life.service.world.restart()
    life.operator = Operator(life)
    life.operator.looks()
    assert life.found.since > before
    assert life.found.answered == {}
