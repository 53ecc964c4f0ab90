"""gRPC itself: deadlines, cancelled calls, compression, many calls at once."""

from concurrent.futures import ThreadPoolExecutor

import grpc

from conformance.checks import Group, expect
from conformance.over_grpc.calls import INFER, SECONDS, Code, client, code, described, raw
from conformance.sources import practice, proto, tritonclient
from conformance.target import Target
from conformance.tensors import same

GROUP = Group("grpc")
CALLERS = 8
CALLS = 10


@GROUP.must(
    "grpc-transport.ids",
    "each caller gets the answer to its own call",
    proto("The id of the inference request if one was specified."),
)
def _(target: Target) -> None:
    with client(target) as calls:

        def work(caller: int) -> None:
            for number in range(CALLS):
                sent = f"{caller}-{number}"
                found = calls.call("ModelInfer", raw(target, target.tensors(), id=sent)).id
                expect(found == sent, f"the answer to {sent} has id {found!r}")

        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(work, range(CALLERS)))


@GROUP.must(
    "grpc-transport.rows",
    "calls with different rows are not mixed up",
    proto("The output tensors holding inference results."),
)
def _(target: Target) -> None:
    target.need_rows()
    with client(target) as calls:
        requests = [raw(target, target.tensors(rows + 1)) for rows in range(CALLERS)]
        expected = [calls.infer(request) for request in requests]

        def work(caller: int) -> None:
            for _ in range(CALLS):
                found = calls.infer(requests[caller])
                for name, values in expected[caller].items():
                    expect(same(found[name], values), f"{name} of {caller + 1} rows is another call's")

        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(work, range(CALLERS)))


@GROUP.should(
    "grpc-transport.deadline",
    "calls whose deadline passes harm nobody",
    practice("callers with short timeouts: the status is DEADLINE_EXCEEDED, and the server goes on"),
)
def _(target: Target) -> None:
    with client(target) as calls:
        infer = calls.method(INFER, "ModelInferResponse")
        request = raw(target, target.tensors(2000 if target.varies else 1))
        for _ in range(20):
            try:
                infer(request, timeout=0.0005)
            except grpc.RpcError as error:
                expect(code(error) is Code.DEADLINE_EXCEEDED, described(error))
        target.expect_baseline(calls.infer(raw(target, target.tensors())))


@GROUP.should(
    "grpc-transport.cancel",
    "calls that are cancelled harm nobody",
    tritonclient("async_infer returns a call context whose cancel() cancels the call"),
)
def _(target: Target) -> None:
    with client(target) as calls:
        infer = calls.method(INFER, "ModelInferResponse")
        started = [infer.future(raw(target, target.tensors()), timeout=SECONDS) for _ in range(20)]
        for call in started[::2]:
            call.cancel()
        for call in started[1::2]:
            try:
                call.result()
            except grpc.RpcError as error:
                expect(condition=False, otherwise=f"a call beside the cancelled ones: {described(error)}")
        target.expect_baseline(calls.infer(raw(target, target.tensors())))


@GROUP.should(
    "grpc-transport.gzip",
    "a message may be compressed with gzip",
    tritonclient('infer(..., compression_algorithm="gzip")'),
)
def _(target: Target) -> None:
    with client(target) as calls:
        found = calls.infer(raw(target, target.tensors()), compression=grpc.Compression.Gzip)
        target.expect_baseline(found)


@GROUP.should(
    "grpc-transport.deflate",
    "a message may be compressed with deflate",
    tritonclient('infer(..., compression_algorithm="deflate")'),
)
def _(target: Target) -> None:
    with client(target) as calls:
        found = calls.infer(raw(target, target.tensors()), compression=grpc.Compression.Deflate)
        target.expect_baseline(found)


@GROUP.should(
    "grpc-transport.metadata",
    "headers of a call that the server does not know are ignored",
    tritonclient("infer(..., headers={...}) sends any headers: tokens, traces"),
)
def _(target: Target) -> None:
    headers = (("authorization", "Bearer " + "t" * 3000), ("x-trace-bin", b"\x00\x01\xff"))
    with client(target) as calls:
        target.expect_baseline(calls.infer(raw(target, target.tensors()), metadata=headers))


@GROUP.should(
    "grpc-transport.channels",
    "many channels may be open at once",
    practice("each caller has a channel of its own"),
)
def _(target: Target) -> None:
    def work(_: int) -> None:
        with client(target) as calls:
            target.expect_baseline(calls.infer(raw(target, target.tensors())))

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(work, range(2 * CALLERS)))
