"""A proxy in front of a real server that breaks one thing: what the suite's own tests find it by."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from conformance.checks import Failed
from conformance.wire import Address, Reply, Wire

Fault = Callable[[Reply], Reply]
Alter = Callable[[bytes], bytes]
FRAMING = {"content-length", "transfer-encoding"}


def same_bytes(data: bytes) -> bytes:
    return data


class _Line:
    """One caller's connection and the one to the server behind."""

    def __init__(self, caller: socket.socket, address: Address, fault: Fault, alter: Alter) -> None:
        self._caller = caller
        self._server = Wire(address)
        self._fault = fault
        self._alter = alter
        self._head_only = False

    def run(self) -> None:
        threading.Thread(target=self._answers, daemon=True).start()
        with self._caller:
            with contextlib.suppress(OSError):
                while data := self._caller.recv(65536):
                    self._head_only = data.lstrip().startswith(b"HEAD ")
                    self._server.send(self._alter(data))
            with contextlib.suppress(OSError):
                self._server.hang_up()

    def _answers(self) -> None:
        with self._server, contextlib.suppress(OSError, Failed, ValueError):
            while True:
                self._server.wait()
                reply = self._server.reply(head_only=self._head_only, interim=True)
                self._caller.sendall(_written(self._fault(reply), head_only=self._head_only))
        with contextlib.suppress(OSError):
            self._caller.shutdown(socket.SHUT_RDWR)


def _written(reply: Reply, *, head_only: bool) -> bytes:
    headers = [(name, value) for name, value in reply.headers if head_only or name.lower() not in FRAMING]
    if not head_only and reply.status >= 200:
        headers.append(("content-length", str(len(reply.body))))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {reply.status} Any\r\n{lines}\r\n".encode("latin-1") + reply.body


@contextmanager
def http_proxy(port: int, fault: Fault, alter: Alter = same_bytes) -> Iterator[str]:
    """The address of a proxy that applies `fault` to every reply and `alter` to what callers send."""
    address = Address.of(f"http://127.0.0.1:{port}")
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        thread = threading.Thread(target=_accept, args=(listener, address, fault, alter), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _accept(listener: socket.socket, address: Address, fault: Fault, alter: Alter) -> None:
    with contextlib.suppress(OSError):
        while True:
            caller, _ = listener.accept()
            line = _Line(caller, address, fault, alter)
            threading.Thread(target=line.run, daemon=True).start()


Change = Callable[[str, bytes], bytes]
Codes = Callable[[grpc.StatusCode], grpc.StatusCode]
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class _Relay(grpc.GenericRpcHandler):  # type: ignore[misc, unused-ignore]
    """Forwards every call as bytes, with the response or the status changed."""

    def __init__(self, channel: grpc.Channel, change: Change, codes: Codes) -> None:
        self._channel = channel
        self._change = change
        self._codes = codes

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        forward: Any = self._channel.unary_unary(method)

        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                answer: bytes = forward(request, timeout=context.time_remaining())
            except grpc.RpcError as error:
                refused: Any = error
                context.abort(self._codes(refused.code()), refused.details())
            return self._change(method.rpartition("/")[2], answer)

        return grpc.unary_unary_rpc_method_handler(handle)


@contextmanager
def grpc_proxy(port: int, change: Change, codes: Codes) -> Iterator[str]:
    """The address of a proxy that applies `change` to every response and `codes` to every status."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED) as channel:
        server = grpc.server(ThreadPoolExecutor(8), options=UNLIMITED)
        server.add_generic_rpc_handlers((_Relay(channel, change, codes),))
        listening = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{listening}"
        finally:
            server.stop(None).wait()
