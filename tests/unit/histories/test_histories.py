"""Whatever happens to a rollout, its promises hold and it comes to an end. `make histories` lives through a million."""

from __future__ import annotations

import pytest
from histories.__main__ import CHUNK, lived


@pytest.mark.parametrize("share", range(4))
def test_random_histories_keep_every_promise(share: int) -> None:
    assert lived(share * CHUNK, (share + 1) * CHUNK) == []
