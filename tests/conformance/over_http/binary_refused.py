"""Binary tensors whose lengths do not fit: each is refused, wherever binary tensors are spoken at all."""

from conformance import bodies
from conformance.bodies import LENGTH, Body
from conformance.checks import Check, Group, Run, Severity
from conformance.over_http.metadata import expect_error
from conformance.sources import INFER_FAILURE
from conformance.target import Target

GROUP = Group("http")


def _wrong_header(value: str) -> Run:
    def run(target: Target) -> None:
        body = bodies.binary(target.tensors())
        expect_error(target.post(body, [(LENGTH, value)]))

    return run


def _wrong_size(change: int) -> Run:
    """The size says more or less than the shape takes, and the bytes are there accordingly."""

    def run(target: Target) -> None:
        first, *others = target.tensors()
        content = first.content()
        content = content[:change] if change < 0 else content + bytes(change)
        entry = {**first.described(), "parameters": {"binary_data_size": len(content)}}
        document = {"inputs": [entry, *(tensor.entry() for tensor in others)]}
        expect_error(target.post(bodies.with_tail(document, content)))

    return run


def _size_parameter(size: object) -> Run:
    def run(target: Target) -> None:
        first, *others = target.tensors()
        entry = {**first.described(), "parameters": {"binary_data_size": size}}
        document = {"inputs": [entry, *(tensor.entry() for tensor in others)]}
        expect_error(target.post(bodies.with_tail(document, first.content())))

    return run


def _trailing(target: Target) -> None:
    body = bodies.binary(target.tensors())
    expect_error(target.post(Body(body.content + b"more", body.length)))


def _no_header(target: Target) -> None:
    first, *others = target.tensors()
    entry = {**first.described(), "parameters": {"binary_data_size": len(first.content())}}
    document = {"inputs": [entry, *(tensor.entry() for tensor in others)]}
    expect_error(target.post(bodies.as_json(document)))


def _element_too_long(target: Target) -> None:
    position = target.input_of("BYTES")
    tensors = target.tensors()
    content = (2**31).to_bytes(4, "little") + tensors[position].content()[4:]
    entries = [tensor.entry() for tensor in tensors]
    parameters = {"binary_data_size": len(content)}
    entries[position] = {**tensors[position].described(), "parameters": parameters}
    expect_error(target.post(bodies.with_tail({"inputs": entries}, content)))


REFUSED: dict[str, tuple[str, Run]] = {
    "header-too-large": ("a JSON length beyond the body", _wrong_header("999999999")),
    "header-negative": ("a negative JSON length", _wrong_header("-5")),
    "header-not-a-number": ("a JSON length that is no number", _wrong_header("ten")),
    "too-few-bytes": ("fewer bytes than the shape takes", _wrong_size(-1)),
    "too-many-bytes": ("more bytes than the shape takes", _wrong_size(4)),
    "size-beyond-body": ("a size beyond the body", _size_parameter(10**9)),
    "size-negative": ("a negative size", _size_parameter(-1)),
    "size-not-a-number": ("a size that is no number", _size_parameter("many")),
    "trailing-bytes": ("bytes that belong to no tensor", _trailing),
    "no-header": ("a size without the header", _no_header),
    "element-too-long": ("a BYTES element longer than its tensor", _element_too_long),
}


def _where_spoken(run: Run) -> Run:
    def checked(target: Target) -> None:
        target.need_binary()
        run(target)

    return checked


for _kind, (_words, _run) in REFUSED.items():
    GROUP.add(
        Check(
            f"binary.{_kind}",
            f"refused: {_words}",
            Severity.SHOULD,
            INFER_FAILURE,
            "http",
            _where_spoken(_run),
        )
    )
