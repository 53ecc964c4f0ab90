"""Whose turn it is on the cluster: test processes share it, or one of them has it for itself.

Whatever changes what other tests rely on (the operator, its release, a node) calls `turn.exclusive()` first, which
fails where the test is not marked `alone`.
"""

from __future__ import annotations

import fcntl
from typing import TextIO

from support.kubectl import KUBECONFIG


class Turn:
    """The turn of this process."""

    def __init__(self) -> None:
        self._lock: TextIO | None = None
        self._alone = False

    def take(self, *, alone: bool) -> None:
        """Waits for the turn, unless this process has it already."""
        if self._lock is not None and self._alone is alone:
            return
        self.leave()
        self._alone = alone
        self._lock = (KUBECONFIG.parent / "tests.lock").open("w")
        # All pass one gate, where one that wants to be alone waits: nobody overtakes it.
        with (KUBECONFIG.parent / "gate.lock").open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(self._lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)

    def leave(self) -> None:
        """Lets others have their turn."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def exclusive(self) -> None:
        """Fails unless this process has the cluster for itself."""
        alone = self._lock is not None and self._alone
        assert alone, "this changes what other tests rely on: mark the test with pytest.mark.alone"


turn = Turn()
