"""Writes the dashboards as the chart ships them: `python3 -m dashboards FOLDER`."""

import sys
from pathlib import Path

from dashboards import DASHBOARDS
from dashboards.document import text


def main(folder: Path) -> None:
    """Write one file per dashboard."""
    folder.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        (folder / f"{dashboard.name}.json").write_text(text(dashboard))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
