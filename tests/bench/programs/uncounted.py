"""Our server with the counting of requests taken out: what is left is what it would cost without metrics.

Takes the server's own arguments. The bench asks it afterwards for its metrics: had it counted, the comparison would
be void.
"""

from __future__ import annotations

import sys
from typing import Any

from modelwright_serving import histogram, main, metrics

TAKEN_OUT = (
    (metrics.ProtocolMetrics, ("done", "refused", "abandoned")),
    (metrics.Metrics, ("waited", "ran")),
    (histogram.Histogram, ("observe",)),
)


def nothing(*_: Any) -> None:
    """Counts nothing."""


if __name__ == "__main__":
    for kind, names in TAKEN_OUT:
        for name in names:
            if name not in vars(kind):
                sys.exit(f"{kind.__name__}.{name} is gone: say here what counts requests now")
            setattr(kind, name, nothing)
    sys.exit(main.main())
