"""The command: what to test, where to write the report, and the exit code."""

import argparse
import sys
from pathlib import Path

from conformance import report
from conformance.catalogue import checks
from conformance.checks import Failed
from conformance.run import Outcome, run
from conformance.target import discover


def main() -> int:
    options = _parser().parse_args()
    if options.list:
        print(report.listing(checks()))
        return 0
    template = options.request.read_bytes() if options.request else None
    try:
        target = discover(options.http, options.grpc, options.model, template)
    except (Failed, OSError) as failure:
        print(f"the server cannot be tested: {failure}", file=sys.stderr)
        return 2
    chosen = [check for check in checks() if check.id.startswith(tuple(options.only or [""]))]
    results = run(target, chosen)
    print(report.table(results))
    if options.json:
        options.json.write_text(report.as_json(target, results), encoding="utf-8")
    return int(any(result.outcome is Outcome.FAILED for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Test a server of the Open Inference Protocol V2.",
        epilog="Exit code: 0 all passed, 1 something failed, 2 the server cannot be tested.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--list", action="store_true", help="print every check with what it cites, and test nothing"
    )
    what.add_argument("--http", metavar="URL", help="http://HOST:PORT, perhaps with a path")
    parser.add_argument("--grpc", metavar="HOST:PORT", help="also test gRPC there")
    parser.add_argument(
        "--model", metavar="NAME", help="which model; default: the only one that the server lists"
    )
    parser.add_argument(
        "--request", type=Path, metavar="FILE", help="a valid request, where made-up values will not do"
    )
    parser.add_argument(
        "--only", action="append", metavar="PREFIX", help="only checks whose id begins so; repeatable"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
