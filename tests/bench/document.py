"""Writes the last results into docs/performance.md, between two marks. Run by `make bench-docs`."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.report import report
from bench.results import Results
from cluster.paths import LOCAL, REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "performance.md"
RESULTS = LOCAL / "bench" / "servers.json"
MARKS = BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def placed(document: str, content: str, marks: tuple[str, str] = MARKS) -> str:
    """The document with this between the marks instead of what is there."""
    before, begin, rest = document.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"the document has no {marks[0]} followed by {marks[1]}")
    return f"{before}{begin}\n{content}{end}{after}"


def main(results: Path = RESULTS, document: Path = DOCUMENT) -> int:
    """Refuses a quick look: it is no measurement."""
    if not results.exists():
        sys.stderr.write(f"{results} is missing: run `make bench-servers` first\n")
        return 1
    found = Results.model_validate_json(results.read_bytes())
    if found.quick or found.missing:
        sys.stderr.write(
            "the last run was a quick look or could not measure everything: not for the document\n"
        )
        return 1
    document.write_text(placed(document.read_text(), report(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
