"""A real Prometheus for tests, run as a process of the test's own, and promtool."""

from __future__ import annotations

import json
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.prometheus import program
from fakes.places import free_port

START_SECONDS = 60


def promtool(*arguments: str | Path) -> str:
    """What promtool says; it has to end with success."""
    done = subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running(
    *scrapes: Mapping[str, Any],
    host: str = "127.0.0.1",
    groups: Sequence[Mapping[str, Any]] = (),
    web: Mapping[str, Any] | None = None,
    ca: Path | None = None,
) -> Iterator[str]:
    """A Prometheus with these scrape_configs, every second, and these groups of rules; gives its address.

    `web`: its web configuration, with TLS by an authority whose certificate is in the file `ca`.
    """
    address = f"{host}:{free_port()}"
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        configuration = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": list(scrapes),
            "rule_files": [f"{folder}/rules.yml"],
        }
        (folder / "rules.yml").write_text(json.dumps({"groups": list(groups)}))
        (folder / "prometheus.yml").write_text(json.dumps(configuration))
        options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        if web is not None:
            (folder / "web.yml").write_text(json.dumps(web))
            options.append(f"--web.config.file={folder}/web.yml")
        url = f"{'http' if web is None else 'https'}://{address}"
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [program("prometheus"), *options, f"--web.listen-address={address}"], stdout=log, stderr=log
            )
            try:
                _wait_until_ready(url, process, folder / "log", ca)
                yield url
            finally:
                process.terminate()
                process.wait(30)


def ask(url: str, query: str) -> Sequence[tuple[Mapping[str, str], str]]:
    """The labels and values of a vector."""
    form = urllib.parse.urlencode({"query": query}).encode()
    with urllib.request.urlopen(f"{url}/api/v1/query", form, timeout=10) as answer:
        result = json.load(answer)["data"]["result"]
    return [(sample["metric"], sample["value"][1]) for sample in result]


def wait_for(url: str, query: str, within: float = 60) -> None:
    """Waits until a query gives something."""
    deadline = time.monotonic() + within
    while not ask(url, query):
        assert time.monotonic() < deadline, f"nothing for {query} within {within} s"
        time.sleep(0.2)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path, ca: Path | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"not ready within {START_SECONDS} s: {log.read_text()}"
        try:
            with urllib.request.urlopen(
                f"{url}/-/ready",
                timeout=2,
                context=None if ca is None else ssl.create_default_context(cafile=ca),
            ):
                return
        except urllib.error.HTTPError as error:
            if error.code == 401:  # it wants a password, so it answers
                return
            time.sleep(0.1)
        except OSError:
            time.sleep(0.1)
