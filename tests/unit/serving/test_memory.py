"""One budget of bytes, shared out fairly between those who want it."""

from hypothesis import given
from hypothesis import strategies as st

from modelwright_serving.memory import Account, Memory

LIMIT = 1000
MOVES = st.lists(
    st.tuples(
        st.sampled_from(("join", "leave", "take", "charge", "give")), st.integers(0, 7), st.integers(0, 400)
    ),
    max_size=200,
)


def _take_all(account: Account, size: int = 1) -> int:
    while account.take(size):
        pass
    return account.used


def test_one_hungry_address_leaves_half_and_two_leave_a_third() -> None:
    memory = Memory(900)
    hog, other, honest = (memory.join(address) for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3"))
    assert _take_all(hog) == 450
    assert _take_all(other) == 225  # of what the first, who came before, has left
    hog.give(450)
    for _ in range(10):
        _take_all(other)
        hog.take(100)
    assert honest.take(900 - memory.used - 450)
    assert memory.refused > 0


def test_what_is_refused_is_not_held() -> None:
    memory = Memory(LIMIT)
    account = memory.join("10.0.0.1")
    assert not account.take(LIMIT)
    assert (memory.used, account.used, memory.refused) == (0, 0, 1)


def test_what_exists_is_charged_and_the_next_take_pays_for_it() -> None:
    memory = Memory(LIMIT)
    hog, honest = memory.join("10.0.0.1"), memory.join("10.0.0.2")
    hog.charge(LIMIT - 10)
    assert not hog.take(1)
    assert honest.take(5)


def test_connections_of_one_address_share_an_account_for_as_long_as_it_holds_something() -> None:
    memory = Memory(LIMIT)
    first = memory.join("10.0.0.1")
    assert memory.join("10.0.0.1") is first
    first.take(100)
    first.leave()
    first.leave()
    assert memory.join("10.0.0.1") is first, "a new connection does not wipe the slate"
    first.leave()
    first.give(100)
    assert memory.addresses == 0


@given(MOVES)
def test_takes_never_exceed_the_limit_and_everything_comes_back(moves: list[tuple[str, int, int]]) -> None:
    memory = Memory(LIMIT)
    joined: list[tuple[Account, list[int]]] = []
    charged = 0
    for move, which, size in moves:
        if move == "join":
            joined.append((memory.join(f"10.0.0.{which % 4}"), []))
        if not joined:
            continue
        account, held = joined[which % len(joined)]
        if move == "take" and account.take(size):
            held.append(size)
            assert account.used <= LIMIT - memory.used
        elif move == "charge":
            account.charge(size)
            held.append(size)
            charged += size
        elif move == "give" and held:
            account.give(held.pop())
        assert memory.used == sum(sum(sizes) for _, sizes in joined) <= LIMIT + charged
    for account, held in joined:
        account.leave()
        for size in held:
            account.give(size)
    assert (memory.used, memory.addresses) == (0, 0)


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 6))
def test_hogs_leave_an_honest_address_its_share(sizes: list[int], hogs: int) -> None:
    memory = Memory(LIMIT)
    accounts = [memory.join(f"10.0.1.{number}") for number in range(hogs)]
    for place, size in enumerate(sizes):
        accounts[place % hogs].take(size)
    honest = memory.join("10.0.0.1")
    free = memory.limit - memory.used
    assert honest.take(free // 2)
