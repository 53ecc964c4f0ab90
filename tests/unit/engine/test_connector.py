"""Nothing of a connection is left when its session has been closed, whatever became of its requests."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import aiohttp
import pytest
import trustme
import uvloop

from modelwright.engine.connector import Connector

PATIENCE = 10.0


@dataclass
class Peer:
    """Answers nothing, and never says farewell: it closes no connection before the test has ended."""

    port: int
    trust: ssl.SSLContext
    asked: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket, own: ssl.SSLContext) -> None:
        accepted, _ = listener.accept()
        with accepted, own.wrap_socket(accepted, server_side=True, suppress_ragged_eofs=False) as connection:
            connection.recv(4096)
            self.asked.set()
            self._wait_for_the_end(connection.detach())

    def _wait_for_the_end(self, number: int) -> None:
        with socket.socket(fileno=number) as bare, contextlib.suppress(TimeoutError):
            bare.settimeout(PATIENCE)
            with contextlib.suppress(ConnectionError):
                while bare.recv(4096):
                    pass  # what TLS says at the end is not answered
            self.ended.set()


@pytest.fixture
def peer() -> Iterator[Peer]:
    authority, own = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(own)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Peer(listener.getsockname()[1], trust)
        thread = threading.Thread(target=found.serve, args=(listener, own), daemon=True)
        thread.start()
        yield found
        thread.join()


def test_a_request_that_was_broken_off_leaves_nothing_behind(peer: Peer) -> None:
    async def break_off() -> None:
        async with aiohttp.ClientSession(connector=Connector(ssl=peer.trust)) as session:
            asking = asyncio.create_task(session.get(f"https://localhost:{peer.port}/"))
            await asyncio.to_thread(peer.asked.wait, PATIENCE)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        assert await asyncio.to_thread(peer.ended.wait, PATIENCE)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(break_off())
