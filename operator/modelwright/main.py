"""The operator process: command line, logs, event loop. What it does is in `wiring`, how it runs in `engine`."""

from __future__ import annotations

import logging
import sys

import uvloop

from modelwright.engine.runtime import ProcessSettings, run
from modelwright.options import Options, parse
from modelwright.sampling import sampling
from modelwright.wiring import kinds

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main() -> None:
    """Runs until SIGTERM; ends with code 1 when a part of it breaks, for the kubelet to start it anew."""
    options = parse()
    logging.basicConfig(level=options.log_level.upper(), format=LOG_FORMAT, stream=sys.stderr)
    # kopf tells of every event that it hands over; the reconciler says what came of it.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        uvloop.run(run(kinds(options.settings), _engine(options), [sampling(options.prometheus_url)]))
    except Exception:
        logging.getLogger(__name__).exception("the operator ends")
        sys.exit(1)


def _engine(options: Options) -> ProcessSettings:
    return ProcessSettings(
        lease_namespace=options.lease_namespace,
        lease_name=options.lease_name,
        namespace=options.namespace,
        health_port=options.health_port,
    )


if __name__ == "__main__":
    main()
