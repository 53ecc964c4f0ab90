"""Many callers at once: each gets its own answer, whatever the others send."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from conformance import bodies
from conformance.bodies import Body
from conformance.checks import Group, expect
from conformance.sources import practice, rest
from conformance.target import Target
from conformance.tensors import same

GROUP = Group("http")
CALLERS = 8
REQUESTS = 12
ID = rest('"id" : The "id" identifier given in the request, if any.')


def _together(work: Callable[[int], None]) -> None:
    """The same work by every caller at once; the first failure is raised."""
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(work, range(CALLERS)))


@GROUP.must("concurrent.ids", "each caller gets the answer to its own request", ID)
def _(target: Target) -> None:
    def work(caller: int) -> None:
        with target.connect() as wire:
            for number in range(REQUESTS):
                sent = f"{caller}-{number}"
                wire.send(target.infer_request(bodies.plain(target.tensors(), id=sent)))
                found = bodies.read(wire.reply()).document.get("id")
                expect(found == sent, f"the answer to {sent} has id {found!r}")

    _together(work)


@GROUP.must(
    "concurrent.rows",
    "requests with different rows are not mixed up",
    rest(
        "If the input is batched, the shape and data must represent the full shape and contents "
        "of the entire batch."
    ),
)
def _(target: Target) -> None:
    target.need_rows()
    requests = [bodies.plain(target.tensors(rows + 1)) for rows in range(CALLERS)]
    expected = [target.infer(request).outputs for request in requests]

    def work(caller: int) -> None:
        with target.connect() as wire:
            for _ in range(REQUESTS):
                wire.send(target.infer_request(requests[caller]))
                found = bodies.read(wire.reply()).outputs
                for name, values in expected[caller].items():
                    expect(same(found[name], values), f"{name} of {caller + 1} rows is another request's")

    _together(work)


@GROUP.should(
    "concurrent.bad-neighbours",
    "wrong requests do not harm right ones beside them",
    practice("servers that run the requests of many callers as one batch"),
)
def _(target: Target) -> None:
    right = bodies.plain(target.tensors())
    entry = target.tensors()[0].entry()
    wrong = [Body(b"{"), bodies.as_json({"inputs": [{**entry, "data": entry["data"][1:]}]})]

    def work(caller: int) -> None:
        for number in range(REQUESTS):
            if caller % 2:
                status = target.post(wrong[number % 2]).status
                expect(status >= 400, f"a wrong request is answered with {status}")
            else:
                target.expect_baseline(target.infer(right).outputs)

    _together(work)


@GROUP.should(
    "concurrent.outputs",
    "requests for different outputs are not mixed up",
    practice("servers that run the requests of many callers as one batch"),
)
def _(target: Target) -> None:
    names = [spec.name for spec in target.outputs]

    def work(caller: int) -> None:
        wanted = names[caller % len(names)]
        body = bodies.plain(target.tensors(), outputs=[{"name": wanted}])
        with target.connect() as wire:
            for _ in range(REQUESTS):
                wire.send(target.infer_request(body))
                target.expect_baseline(bodies.read(wire.reply()).outputs, [wanted])

    _together(work)
