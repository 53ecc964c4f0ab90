"""Servers of stores on this host, as pods of the cluster reach them: at the node's address."""

from __future__ import annotations

import pytest
from cluster import kind
from cluster.settings import NODE_ADDRESS

HOST = NODE_ADDRESS
MARKS = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("operator"),
    pytest.mark.skipif(
        kind.engine_answers(), reason="the servers are on this host, which pods of kind do not reach so"
    ),
]
