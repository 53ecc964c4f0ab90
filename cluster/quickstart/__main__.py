"""`python3 -m cluster.quickstart`: the steps in their order, and one place that reports a failure."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cluster.paths import IMAGE_VALUES, KUBECONFIG, REPOSITORY
from cluster.quickstart import follow, install, predict, report, target
from cluster.quickstart.progress import Served
from cluster.quickstart.target import Target
from cluster.shell import StepError
from cluster.steps import say

REQUEST = REPOSITORY / "examples" / "requests" / "breast-cancer.body"


def main(arguments: Sequence[str] | None = None) -> int:
    """From nothing to a served prediction."""
    started = time.monotonic()
    options = _parser().parse_args(arguments)
    try:
        cluster, values = _existing(options) if options.existing or options.context else _own()
        install.install(cluster, values)
        follow.apply(cluster)
        say("")
        served = follow.follow(cluster)
        say("")
        _show(cluster, served)
    except StepError as failed:
        say(f"\n{failed}")
        return 1
    except KeyboardInterrupt:
        say("\ninterrupted; the same command goes on from here")
        return 130
    say(f"\nServed after {time.monotonic() - started:.0f} s.\n")
    say("\n".join(_next(options)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m cluster.quickstart", description="From nothing to a prediction"
    )
    parser.add_argument(
        "--existing", action="store_true", help="use the cluster of your kubeconfig, start none"
    )
    parser.add_argument("--context", help="context of your kubeconfig; implies --existing")
    parser.add_argument(
        "--values", type=Path, help="Helm values that name images which that cluster can pull"
    )
    return parser


def _own() -> tuple[Target, Path]:
    """Our own cluster with our own images in it."""
    say("Cluster")
    _module("cluster", "up")
    say("Images")
    _module("images")
    say("Modelwright")
    return target.own(), IMAGE_VALUES


def _existing(options: argparse.Namespace) -> tuple[Target, Path]:
    """The user's cluster; images cannot be put into it from here, so it must be able to pull them."""
    values = target.values_file(options.values, IMAGE_VALUES)
    say(f"Modelwright, with the images of {values}")
    return target.existing(options.context), values


def _module(*words: str) -> None:
    """Run one of our own programs; it tells the user itself what it does."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=REPOSITORY, check=False)
    if done.returncode:
        raise StepError(f"`python3 -m {' '.join(words)}` failed; what it said stands above")


def _show(cluster: Target, served: Served) -> None:
    """The model, a request to it, and its answer."""
    version = served.version
    signature = version["status"].get("signature") or {}
    say("\n".join(report.model(version, served.run)))
    say(f"\nPOST /v2/models/{follow.NAME}/infer  ({REQUEST.relative_to(REPOSITORY)})")
    say("\n".join(report.request(json.loads(REQUEST.read_text()), signature.get("features") or [])))
    with predict.forwarded(cluster, follow.NAMESPACE, follow.NAME) as port:
        answer = predict.ask(port, follow.NAME, REQUEST)
    say("The answer")
    say("\n".join(report.answers(answer.body, signature["classes"])))
    expected = version["spec"]["artifact"]["digest"]
    if answer.digest != expected:
        raise StepError(f"the server answers with {answer.digest}, but {expected} was measured")
    say(f"  by {answer.digest}")


def _next(options: argparse.Namespace) -> list[str]:
    leave = [f"helm -n {install.NAMESPACE} uninstall {install.RELEASE}"]
    if options.existing or options.context:
        return report.next_steps(follow.NAMESPACE, follow.NAME, [], leave)
    here = os.path.relpath(KUBECONFIG.parent)
    setup = [f"export KUBECONFIG=$PWD/{here}/kubeconfig PATH=$PWD/{here}/bin:$PATH"]
    return report.next_steps(follow.NAMESPACE, follow.NAME, setup, [*leave, "make cluster-down"])


if __name__ == "__main__":
    sys.exit(main())
