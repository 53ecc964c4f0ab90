"""An operator for toys, as a process of its own: python -m fakes.toy_operator KUBECONFIG NAMESPACE PORT."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import uvloop
from fakes.objects import MAPS, TOYS, plan_toy

from modelwright.engine.kinds import Kind, child
from modelwright.engine.runtime import ProcessSettings, run

KINDS = (Kind(TOYS, plan_toy), child(MAPS))


def main(kubeconfig: str, namespace: str, port: str) -> None:
    """Runs until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = ProcessSettings(
        lease_namespace=namespace,
        namespaces=(namespace,),
        health_host="127.0.0.1",
        health_port=int(port),
        kubeconfig=Path(kubeconfig),
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(KINDS, settings))


if __name__ == "__main__":
    main(*sys.argv[1:])
