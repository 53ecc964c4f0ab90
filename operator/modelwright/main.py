"""The operator process: command line, logging, event loop. The kinds are in `wiring`, the runtime is in `engine`."""

from __future__ import annotations

import logging
import sys

import uvloop

from modelwright.engine.runtime import ProcessSettings, run
from modelwright.gauges import GAUGES
from modelwright.options import Options, parse
from modelwright.sampling import sampling
from modelwright.wiring import kinds

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main() -> None:
    """Runs until SIGTERM. Exits with code 1 if a part fails, so that the kubelet restarts the container."""
    options = parse()
    logging.basicConfig(level=options.log_level.upper(), format=LOG_FORMAT, stream=sys.stderr)
    # kopf logs every event that it handles; the outcome is logged by the reconciler.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        companions = [sampling(options.prometheus, options.approvals_policy)]
        uvloop.run(run(kinds(options.settings), _engine(options), companions, GAUGES))
    except Exception:
        logging.getLogger(__name__).exception("the operator ends")
        sys.exit(1)


def _engine(options: Options) -> ProcessSettings:
    return ProcessSettings(
        lease_namespace=options.lease_namespace,
        lease_name=options.lease_name,
        namespaces=options.namespaces,
        health_port=options.health_port,
    )


if __name__ == "__main__":
    main()
