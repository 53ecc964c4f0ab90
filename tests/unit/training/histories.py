"""Every history of some processes that share a bucket: each order of their requests, each moment to be killed in, and
each request that fails though it is carried out, at once, later or never.

A process follows from the answers that it has had, so it is brought to any point by giving it those again. Histories
that lead to the same bucket and the same answers are one: that makes millions of them a matter of seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fakes.bucket import Kept, MemoryBucket

from modelwright_stores.failures import StoreError
from modelwright_stores.objects.bucket import Entry
from modelwright_stores.resuming import Head
from modelwright_training.storing.bucket import LEASE, Time

Answers = tuple[tuple[Any, float], ...]
Objects = frozenset[tuple[str, Kept]]
CHANGES = {"put", "put_new", "delete"}
LOST = "lost"


class Suspended(BaseException):
    """A process wants a request to be answered, of which no answer is known yet."""

    def __init__(self, *request: Any) -> None:
        super().__init__(request)
        self.request = request


class Replayed:
    """A bucket that gives the answers of a history, one after the other; and its time."""

    def __init__(self, answers: Answers, begin: float) -> None:
        self.answers, self.place, self.second = answers, 0, begin

    def ask(self, *request: Any) -> Any:
        if self.place == len(self.answers):
            raise Suspended(*request)
        answer, self.second = self.answers[self.place]
        self.place += 1
        if answer == LOST:
            raise StoreError("StoreUnavailable", "the answer is lost", passing=True)
        return answer

    def head(self, key: str) -> Head | None:
        found: Head | None = self.ask("head", key)
        return found

    def read(self, key: str, start: int, head: Head) -> Iterator[bytes]:
        content: bytes | None = self.ask("content", key, 1 << 30)
        if content is None:
            raise StoreError("FileChanged", "it is gone", passing=True)
        assert len(content) == head.size
        return iter([content[start:]])

    def content(self, key: str, limit: int) -> bytes | None:
        found: bytes | None = self.ask("content", key, limit)
        return found

    def entries(self, prefix: str) -> Iterator[Entry]:
        return iter(self.ask("entries", prefix))

    def put_new(self, key: str, content: bytes) -> bool:
        done: bool = self.ask("put_new", key, content)
        return done

    def put(self, key: str, content: bytes) -> None:
        self.ask("put", key, content)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:  # one by one: a store does not delete many as one act
            self.ask("delete", (key,))

    @property
    def time(self) -> Time:
        return Time(lambda: self.second, lambda _: self.ask("pause"))


@dataclass(frozen=True)
class Process:
    """Something that uses the bucket; `work` gets the bucket and the number of the attempt."""

    name: str
    work: Callable[[Replayed, int], Any]


@dataclass(frozen=True, eq=False)
class Life:
    """Where a process is: the answers that it has had since the second `begin`, in its attempt of this number, and what
    it does next: ("asks", request), ("returns", result) or ("raises", error). There is one object for each such place.
    """

    place: int
    answers: Answers
    begin: float
    attempt: int
    next: tuple[str, Any]
    dead: bool
    later: dict[Any, Life] = field(default_factory=dict, repr=False)


class State(NamedTuple):
    """A moment of a history. `flying`: requests of which the answer is lost, which may be carried out yet."""

    objects: Objects
    lives: tuple[Life, ...]
    second: float
    faults: int
    flying: tuple[tuple[Any, ...], ...] = ()


class Histories:
    """All histories of some processes from some objects on, with at most `faults` kills and lost answers in each."""

    def __init__(self, processes: Sequence[Process], objects: dict[str, Kept], faults: int) -> None:
        self.processes = processes
        self._begun: dict[tuple[int, float, int], Life] = {}
        lives = tuple(self._begin(place, 0, 1) for place in range(len(processes)))
        self.first = State(frozenset(objects.items()), lives, 0, faults)

    def explore(self, look: Callable[[State, bool], None]) -> tuple[int, int]:
        """Look at each state once, and whether it is the last of its history. How many states there are, and how many
        histories."""
        after: dict[State, list[State]] = {}
        waiting = [self.first]
        while waiting:
            state = waiting.pop()
            if state not in after:
                after[state] = list(self._after(state))
                look(state, not after[state])
                waiting += after[state]
        return len(after), _ways(self.first, after)

    def walk(self, choose: Callable[[list[State]], State], look: Callable[[State, bool], None]) -> None:
        """Follow one history to its end."""
        state, after = self.first, list(self._after(self.first))
        look(state, not after)
        while after:
            state = choose(after)
            after = list(self._after(state))
            look(state, not after)

    def _begin(self, place: int, second: float, attempt: int) -> Life:
        key = (place, second, attempt)
        if key not in self._begun:
            self._begun[key] = self._life(place, (), second, attempt)
        return self._begun[key]

    def _life(self, place: int, answers: Answers, begin: float, attempt: int) -> Life:
        bucket = Replayed(answers, begin)
        try:
            result = self.processes[place].work(bucket, attempt)
        except Suspended as suspended:
            return Life(place, answers, begin, attempt, ("asks", suspended.request), dead=False)
        except Exception as error:  # noqa: BLE001 (whatever ends it)
            return Life(place, answers, begin, attempt, ("raises", error), dead=False)
        return Life(place, answers, begin, attempt, ("returns", result), dead=False)

    def _after(self, state: State) -> Iterator[State]:
        for life in state.lives:
            kind, what = life.next
            if life.dead or kind == "raises":
                if life.attempt == 1:  # it is started again, once
                    yield _with(state, self._begin(life.place, state.second, 2))
            elif kind == "asks":
                yield from self._asked(state, life, what)
        for number, request in enumerate(state.flying):
            landed = state._replace(flying=state.flying[:number] + state.flying[number + 1 :])
            yield _carried_out(landed, request)[0]

    def _asked(self, state: State, life: Life, request: tuple[Any, ...]) -> Iterator[State]:
        if request == ("pause",):
            yield from self._paused(state, life)
        else:
            changed, answer = _carried_out(state, request)
            yield self._answered(changed, life, answer)
        if not state.faults:
            return
        fewer = state._replace(faults=state.faults - 1)
        yield _with(fewer, self._dead(life))
        if request[0] in CHANGES:
            yield self._answered(_carried_out(fewer, request)[0], life, LOST)
            yield self._answered(fewer._replace(flying=(*fewer.flying, request)), life, LOST)

    def _paused(self, state: State, life: Life) -> Iterator[State]:
        """Time passes for who waits if what he waits for changes, or if all who could change it are gone."""
        seen = next(answer for answer, _ in reversed(life.answers) if isinstance(answer, tuple))
        if {entry.key for entry in seen} != {key for key, _ in state.objects}:
            yield self._answered(state, life, None)
        elif not state.flying and not any(_works(other) for other in state.lives if other is not life):
            yield self._answered(state._replace(second=state.second + LEASE + 1), life, None)

    def _answered(self, state: State, life: Life, answer: Any) -> State:
        key = (answer, state.second)
        if key not in life.later:
            life.later[key] = self._life(life.place, (*life.answers, key), life.begin, life.attempt)
        return _with(state, life.later[key])

    @staticmethod
    def _dead(life: Life) -> Life:
        if LOST not in life.later:
            life.later[LOST] = Life(life.place, life.answers, life.begin, life.attempt, life.next, dead=True)
        return life.later[LOST]


def _works(life: Life) -> bool:
    """Whether a tombstone may be of a process that still runs."""
    return not life.dead and life.next[0] == "asks" and life.next[1] != ("pause",)


def _carried_out(state: State, request: tuple[Any, ...]) -> tuple[State, Any]:
    bucket = MemoryBucket(dict(state.objects), state.second)
    answer = getattr(bucket, request[0])(*request[1:])
    if request[0] == "entries":
        return state, tuple(answer)
    if request[0] not in CHANGES:
        return state, answer
    return state._replace(objects=frozenset(bucket.objects.items())), answer


def _with(state: State, life: Life) -> State:
    return state._replace(lives=(*state.lives[: life.place], life, *state.lives[life.place + 1 :]))


def _ways(first: State, after: dict[State, list[State]]) -> int:
    """The number of ways from the first state to one after which nothing happens."""
    ways: dict[State, int] = {}
    stack = [first]
    while stack:
        state = stack[-1]
        missing = [each for each in after[state] if each not in ways]
        if missing:
            stack += missing
            continue
        ways[state] = sum(ways[each] for each in after[state]) or 1
        stack.pop()
    return ways[first]
