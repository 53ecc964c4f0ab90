"""An API server of one InferenceService, for what a real one cannot be made to do on demand: outages, expiry, races."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from unit.cli.given import merged

Body = dict[str, Any]
Change = Mapping[str, Any]
# Runs a command; gives its exit code and all that it said.
Run = Callable[..., tuple[int, str]]
OVER = object()


@dataclass
class Desk:
    """The object, and what to answer instead of it."""

    body: Body
    url: str = ""
    # (method or "WATCH", code, text): used up one by one before anything else is answered.
    answers: list[tuple[str, int, str]] = field(default_factory=list)
    requests: list[tuple[str, str, Body | None]] = field(default_factory=list)
    on_patch: Callable[[Body], Change | None] = lambda _body: None
    told: list[Body] = field(default_factory=list)
    others: tuple[str, ...] = ()
    # The ModelVersions, by name.
    versions: dict[str, Body] = field(default_factory=dict)
    # Whether the user has the verb approve, and what the operator makes of a change of a ModelVersion.
    may_approve: bool = True
    on_version: Callable[[Body], Change | None] = lambda _body: None
    watches: list[Queue[Any]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def changes(self, change: Change) -> None:
        """Somebody changes the object; those who watch are told."""
        with self.lock:
            version = str(int(self.body["metadata"]["resourceVersion"]) + 1)
            self.body = merged(merged(self.body, change), {"metadata": {"resourceVersion": version}})
            self.tells("MODIFIED", self.body)

    def tells(self, kind: str, what: Body) -> None:
        """An event for those who watch."""
        with self.lock:
            for watch in self.watches:
                watch.put({"type": kind, "object": what})

    def breaks_off(self) -> None:
        """The watches end in mid-air."""
        with self.lock:
            for watch in self.watches:
                watch.put(OVER)

    def seen(self, method: str) -> int:
        """How many requests of a kind have come."""
        return sum(1 for each, _, _ in self.requests if each == method)

    def page(self, query: Mapping[str, list[str]]) -> Body:
        """Some ModelVersions, and where the next page of them begins."""
        start = int(query.get("continue", ["0"])[0])
        end = start + int(query["limit"][0])
        left = {"continue": str(end)} if end < len(self.versions) else {}
        return {"metadata": left, "items": list(self.versions.values())[start:end]}

    def patched_version(self, name: str, change: Body) -> tuple[int, str]:
        """The answer to a patch of a ModelVersion."""
        body = self.versions[name]
        if change["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            return 409, status("it was changed")
        version = str(int(body["metadata"]["resourceVersion"]) + 1)
        written = merged(merged(body, change), {"metadata": {"resourceVersion": version}})
        self.versions[name] = merged(written, self.on_version(written) or {})
        return 200, json.dumps(written)

    def answer(self, method: str) -> tuple[int, str] | None:
        """What was prepared for a request."""
        with self.lock:
            found = next((each for each in self.answers if each[0] == method), None)
            if found is not None:
                self.answers.remove(found)
            return found and (found[1], found[2])

    def patched(self, change: Body) -> tuple[int, str]:
        """The answer to a patch: a conflict when it is not of the object as it is."""
        with self.lock:
            metadata = self.body["metadata"]
            if change["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
                return 409, status("it was changed")
            assert change["metadata"]["uid"] == metadata["uid"]
            self.changes(change)
            written = json.dumps(self.body)
            follows = self.on_patch(self.body)
            if follows is not None:
                self.changes(follows)
            return 200, written


class Handler(BaseHTTPRequestHandler):
    """Answers for the desk."""

    protocol_version = "HTTP/1.1"
    desk: Desk

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        if "watch" in parse_qs(where.query):
            self._watch()
        elif self._prepared("GET"):
            return
        elif where.path.endswith("/events"):
            self._reply(200, json.dumps({"kind": "EventList", "items": self.desk.told}))
        elif where.path.endswith("/inferenceservices"):
            items = [{"metadata": {"name": name}} for name in self.desk.others]
            self._reply(200, json.dumps({"items": items}))
        elif where.path.endswith("/modelversions"):
            self._reply(200, json.dumps(self.desk.page(parse_qs(where.query))))
        elif where.path.endswith(f"/{self.desk.body['metadata']['name']}"):
            self._reply(200, json.dumps(self.desk.body))
        elif where.path.rpartition("/")[2] in self.desk.versions:
            self._reply(200, json.dumps(self.desk.versions[where.path.rpartition("/")[2]]))
        else:
            self._reply(404, status("not found"))

    def do_PATCH(self) -> None:
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        change = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = urlsplit(self.path).path.rpartition("/")[2]
        if not self._prepared("PATCH", change):
            of_version = name in self.desk.versions
            self._reply(
                *(self.desk.patched_version(name, change) if of_version else self.desk.patched(change))
            )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._prepared("POST", body):
            known = {"userInfo": {"username": "jane"}, "allowed": self.desk.may_approve}
            self._reply(201, json.dumps({**body, "status": known}))

    def _prepared(self, method: str, body: Body | None = None) -> bool:
        self.desk.requests.append((method, self.path, body))
        answer = self.desk.answer(method)
        if answer is not None:
            self._reply(*answer)
        return answer is not None

    def _watch(self) -> None:
        if self._prepared("WATCH"):
            return
        queue: Queue[Any] = Queue()
        with self.desk.lock:
            self.desk.watches.append(queue)
            asked = parse_qs(urlsplit(self.path).query)["resourceVersion"][0]
            if asked != self.desk.body["metadata"]["resourceVersion"]:
                queue.put({"type": "MODIFIED", "object": self.desk.body})
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while (event := queue.get()) is not OVER:
            line = json.dumps(event).encode() + b"\n"
            try:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            except OSError:  # the one who watched has gone
                return

    def _reply(self, code: int, text: str) -> None:
        content = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Requests are kept, not printed."""


def status(message: str) -> str:
    """A refusal, as the API server writes it."""
    return json.dumps({"kind": "Status", "message": message})


@contextmanager
def a_desk(body: Body) -> Iterator[Desk]:
    """A desk that answers over HTTP."""
    desk = Desk(body)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("DeskHandler", (Handler,), {"desk": desk}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    desk.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield desk
    finally:
        desk.breaks_off()
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(folder: Path, url: str, **context: str) -> Path:
    """A kubeconfig for it."""
    path = folder / "config"
    named = {"cluster": "c", "user": "u", **context}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": named}],
        "current-context": "here",
    }
    path.write_text(yaml.safe_dump(content))
    return path
