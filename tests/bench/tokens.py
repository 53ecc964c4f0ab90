"""Measures what prediction tokens cost the server. Run by `make bench-tokens`.

One server, asked for the same predictions with and without tokens in interleaved rounds. Prints the server's CPU time
in the best rounds, as whatever else the machine does only adds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench.bodies import as_json, batches
from bench.contenders import INSTALLED, Contender, ours
from bench.loads import Target, rounds, write_script
from bench.model import Model
from bench.monitor.__main__ import classifier
from bench.progress import FULL, QUICK, Pace
from bench.report import table
from bench.servers import PACKAGES
from bench.wrk import Request, Wrk
from cluster.packages import install_missing

CONNECTIONS = 16
ROWS = (1, 32, 256)
WITHOUT, WITH = "without tokens", "with tokens"


def asking(request: Request) -> Request:
    """The same request for tokens, too."""
    document = json.loads(request.body) | {"parameters": {"prediction_tokens": True}}
    return replace(request, body=json.dumps(document).encode())


def cost(server: Contender, model: Model, rows: int, folder: Path, pace: Pace) -> list[str]:
    """A line of the table: CPU time of a request in microseconds, without and with tokens, and of a token."""
    plain = [as_json(model, some) for some in batches(model, rows)]
    loads = {WITHOUT: plain, WITH: [asking(request) for request in plain]}
    targets = [
        Target(name, server.pid, Wrk(write_script(folder, requests), server.http_port, CONNECTIONS))
        for name, requests in loads.items()
    ]
    found = rounds("tokens", f"{rows} rows, {CONNECTIONS} connections", CONNECTIONS, targets, pace)
    without, with_tokens = (min(one.cpu()) for one in found.series)
    return [f"{rows}", f"{without:.1f}", f"{with_tokens:.1f}", f"{(with_tokens - without) / rows:.2f}"]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.tokens", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a minute; not to be quoted")
    pace = QUICK if parser.parse_args().quick else replace(FULL, seconds=2)
    install_missing(PACKAGES)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "keys").mkdir()
        (folder / "keys" / "key").write_bytes(b"sixteen bytes and more")
        model = classifier(folder)
        program = (*INSTALLED, f"--feedback-keys={folder / 'keys'}")
        server = stack.enter_context(ours(model.path, as_json(model, model.rows[:1]), program))
        lines = [cost(server, model, rows, folder, pace) for rows in ROWS]
    head = ("rows of a request", "CPU of a request, us", "with tokens, us", "a token, us")
    sys.stdout.write(table(head, lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
