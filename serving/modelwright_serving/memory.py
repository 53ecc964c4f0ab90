"""Counts the bytes that callers make the server hold, and shares them out fairly between peer addresses.

What is counted are bodies, what is unpacked or decoded from them, and answers that wait to be read. The bytes of the
model, of the process and of a connection's headers are not.
"""

# To a caller whose address holds too much already.
REFUSAL = "the server holds too much for this address; try again shortly, or with fewer rows at a time"


class Memory:
    """One budget of `limit` bytes for all ports of the server."""

    __slots__ = ("_accounts", "limit", "refused", "used")

    def __init__(self, limit: int) -> None:
        self._accounts: dict[str, Account] = {}
        self.limit = limit
        self.used = 0
        self.refused = 0  # how often an account got less than it asked for

    def join(self, address: str) -> "Account":
        """The account of a peer address for one more connection of it, until that calls `leave`."""
        account = self._accounts.get(address)
        if account is None:
            account = self._accounts[address] = Account(self, address)
        account.connections += 1
        return account

    def drop(self, account: "Account") -> None:
        """Forget an account that holds nothing and has no connection."""
        self._accounts.pop(account.address, None)

    @property
    def addresses(self) -> int:
        """How many accounts there are."""
        return len(self._accounts)


class Account:
    """What one peer address holds, in bytes; shared by all its connections.

    An account may not take more than is free afterwards: one hungry peer gets half of the budget, two get a third
    each, n get 1/(n+1) each, so that something is left for the next.
    """

    __slots__ = ("_memory", "address", "connections", "used")

    def __init__(self, memory: Memory, address: str) -> None:
        self._memory = memory
        self.address = address
        self.connections = 0
        self.used = 0

    def fits(self, size: int) -> bool:
        """Whether `size` bytes more are there for this peer."""
        memory = self._memory
        return self.used + size <= memory.limit - memory.used - size

    def take(self, size: int) -> bool:
        """Hold `size` bytes more; False, and nothing is held, if they are not there for this peer."""
        memory = self._memory
        if not self.fits(size):
            memory.refused += 1
            return False
        memory.used += size
        self.used += size
        return True

    def charge(self, size: int) -> None:
        """Hold `size` bytes that exist already, whatever is free."""
        self._memory.used += size
        self.used += size

    def give(self, size: int) -> None:
        """Hold `size` bytes less."""
        self._memory.used -= size
        self.used -= size
        if not self.used and not self.connections:
            self._memory.drop(self)

    def leave(self) -> None:
        """A connection has ended; what it held may be given back later."""
        self.connections -= 1
        if not self.used and not self.connections:
            self._memory.drop(self)
