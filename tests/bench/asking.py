"""One HTTP request and its answer, to ask a server something beside the load."""

from __future__ import annotations

from http.client import HTTPConnection

from bench.wrk import Request

PATIENCE_SECONDS = 20.0


def answer(port: int, request: Request) -> tuple[int, bytes]:
    """Status and body."""
    status, _, content = headers_and_answer(port, request)
    return status, content


def headers_and_answer(port: int, request: Request) -> tuple[int, dict[str, str], bytes]:
    """Status, headers with names in lower case, and body, over a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(request.method, request.path, request.body or None, dict(request.headers))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()
    finally:
        connection.close()


def get(port: int, path: str) -> str:
    status, content = answer(port, Request(path, b"", method="GET"))
    if status != 200:
        raise OSError(f"GET {path} answers {status}")
    return content.decode()
