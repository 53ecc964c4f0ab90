"""Runs the suite against our server, KServe's and MLServer's with the same models, and writes the table of the docs."""

import argparse
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from peers import MODEL, running
from peers.environments import version
from unit.serving.harness import NAME, serving

from conformance import samples
from conformance.catalogue import checks
from conformance.checks import Check, Failed, Severity
from conformance.run import Outcome, run
from conformance.target import Target, discover

BEGIN, END = "<!-- generated: make conformance -->", "<!-- end of what is generated -->"
MARKS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.NOT_APPLICABLE: "·"}
PEERS = {"kserve": "KServe", "mlserver": "MLServer"}
OURS = "Modelwright"


@dataclass
class Column:
    """One server's outcomes over all models; a check that fails with any model fails."""

    title: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    untested: list[str] = field(default_factory=list)
    version: str = ""

    def note(self, check: Check, outcome: Outcome) -> None:
        order = [Outcome.NOT_APPLICABLE, Outcome.PASSED, Outcome.FAILED]
        known = self.outcomes.get(check.id, Outcome.NOT_APPLICABLE)
        self.outcomes[check.id] = max(known, outcome, key=order.index)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.side_by_side", description=__doc__)
    parser.add_argument("page", type=Path, help="the page whose generated part is replaced")
    page = parser.parse_args().page
    columns = [_column(title, server) for server, title in {"ours": OURS, **PEERS}.items()]
    text = page.read_text(encoding="utf-8")
    page.write_text(_replaced(text, _section(columns)), encoding="utf-8")
    print("\n".join(_totals(columns)))
    return int(Outcome.FAILED in columns[0].outcomes.values())


def _column(title: str, server: str) -> Column:
    column = Column(title)
    for name, make in samples.ALL.items():
        sample = make()
        with TemporaryDirectory() as folder, _target(server, sample, Path(folder)) as target:
            if isinstance(target, Failed):
                column.untested.append(name)
                continue
            column.version = str(target.server.get("version", ""))
            for result in run(target, checks()):
                column.note(result.check, result.outcome)
    return column


@contextmanager
def _target(server: str, sample: samples.Sample, folder: Path) -> Iterator[Target | Failed]:
    path = sample.written(folder)
    if server == "ours":
        with serving(path, "--model-version", "7") as served:
            served.wait_ready()
            yield _discovered(served.http_port, served.grpc_port, NAME, sample)
    else:
        with running(server, path) as peer:
            yield _discovered(peer.http_port, peer.grpc_port, MODEL, sample)


def _discovered(http: int, grpc: int, model: str, sample: samples.Sample) -> Target | Failed:
    try:
        return discover(f"http://127.0.0.1:{http}", f"127.0.0.1:{grpc}", model, sample.request)
    except Failed as failure:
        return failure


def _section(columns: Sequence[Column]) -> str:
    """The generated part: what was run, the totals, and every check on which the servers differ."""
    agreed = [check for check in checks() if not _failed_by_any(check, columns)]
    differing = [check for check in checks() if _failed_by_any(check, columns)]
    kept = f"Every server passes {len(agreed)} of the {len(checks())} checks, as far as they apply to it."
    others = f"The other {len(differing)} (✓ passed, ✗ failed, · not applicable):"
    return "\n".join(
        [
            BEGIN,
            _run_line(columns),
            "",
            *_totals(columns),
            "",
            f"{kept} {others}",
            "",
            *_table(differing, columns),
            END,
        ]
    )


def _failed_by_any(check: Check, columns: Sequence[Column]) -> bool:
    return any(column.outcomes.get(check.id) is Outcome.FAILED for column in columns)


def _run_line(columns: Sequence[Column]) -> str:
    versions = ", ".join(f"{column.title} {column.version}" for column in columns)
    parts = f"ONNX Runtime {version('kserve', 'onnxruntime')}, Python {platform.python_version()}"
    untested = [
        f"{column.title} could not be tested with the model {' and '.join(column.untested)}, "
        "because it refuses plain JSON requests for it."
        for column in columns
        if column.untested
    ]
    return " ".join([f"Run on {datetime.now(UTC):%Y-%m-%d}: {versions}; {parts}.", *untested])


def _totals(columns: Sequence[Column]) -> list[str]:
    lines = ["| | " + " | ".join(column.title for column in columns) + " |", "|---|" + "---|" * len(columns)]
    for protocol, title in (("http", "HTTP"), ("grpc", "gRPC")):
        for severity in Severity:
            chosen = [one for one in checks() if (one.protocol, one.severity) == (protocol, severity)]
            cells = [_counted(chosen, column) for column in columns]
            lines.append(f"| {title}, {severity} ({len(chosen)}) | " + " | ".join(cells) + " |")
    return [
        *lines,
        f"| all ({len(checks())}) | " + " | ".join(_counted(checks(), each) for each in columns) + " |",
    ]


def _counted(chosen: Sequence[Check], column: Column) -> str:
    found = [column.outcomes.get(check.id, Outcome.NOT_APPLICABLE) for check in chosen]
    return f"{found.count(Outcome.PASSED)} passed, {found.count(Outcome.FAILED)} failed"


def _table(chosen: Sequence[Check], columns: Sequence[Column]) -> list[str]:
    lines = [
        "| check | | | " + " | ".join(column.title for column in columns) + " |",
        "|---|---|---|" + ":-:|" * len(columns),
    ]
    for check in chosen:
        marks = " | ".join(MARKS[column.outcomes.get(check.id, Outcome.NOT_APPLICABLE)] for column in columns)
        lines.append(f"| `{check.id}` | {check.severity} | {check.title} | {marks} |")
    return lines


def _replaced(text: str, section: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + section + after


if __name__ == "__main__":
    raise SystemExit(main())
