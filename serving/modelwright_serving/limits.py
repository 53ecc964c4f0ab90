"""Every bound on what a caller can make the server hold or do, in size, in number and in time.

docs/serving.md, "Bounds", is the table of them. What only divides work, such as the bytes of one step, stands where the
work is done.
"""

from dataclasses import dataclass

# Bytes of a request, or of an answer as it is estimated, beyond which the worker decodes, runs and encodes it.
LARGE = 256 * 1024
# Fields of a gRPC message and its parts, beyond which the worker decodes it, and beyond which it is refused.
FIELDS_AT_ONCE = 1_000
MAX_FIELDS = 30_000
# Bytes of a JSON document, and of records, that are decoded on the event loop: about a millisecond.
AT_ONCE = 64 * 1024
RECORDS_AT_ONCE = 16 * 1024
# Bytes that the values of one decoded document may take, as they are estimated.
MAX_DOCUMENT = 64 * 1024**2
# Bytes of one answer, as they are estimated before the run and by what it gives.
MAX_ANSWER = 32 * 1024**2
# Rows of a request.
MAX_ROWS = 2**21
# Triton's max_batch_size in the model's configuration: clients that send more rows at a time split them.
MAX_BATCH_SIZE = 8192
# Values of the records of one request, named or not.
MAX_VALUES = 2**22
# Elements that the sizes of a tensor without elements, such as [0, 4096], may make without the zeros.
MAX_EMPTY = 4096
# Tensors that a gRPC request may name beyond those of the model, dimensions of a shape there, and elements in a form
# that is not packed.
SURPLUS_TENSORS = 100
MAX_DIMENSIONS = 64
MAX_UNPACKED = 10_000
# Requests that may wait for a run, seconds that one may wait, and seconds that a run may take.
QUEUE_REQUESTS = 1024
QUEUE_SECONDS = 10.0
RUN_SECONDS = 10.0


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    body: int = 16 * 1024**2
    memory: int = 128 * 1024**2  # of what all callers make the server hold: bodies, decoded values, answers
    head: int = 32 * 1024
    target: int = 8 * 1024
    connections: int = 1024  # of a port
    refused_connections: int = 256  # of a port, that still get an answer
    spare_descriptors: int = 256  # of the process, for all but the connections of the two ports
    scrape_seconds: float = 0.05  # between two renderings of /metrics
    crowd: int = 8  # an address with more than this part of all connections makes room for others
    unused_seconds: float = 0.25  # without a request for so long, a new connection makes room for any other
    reuse_seconds: float = (
        1.0  # so does one that has carried requests, when the next does not come for so long
    )
    pipelined: int = 4  # requests of one connection that wait for their turn before it is read on
    portion: int = 1024  # of many small requests that arrive together, as much is read at once
    chunks: int = 1024  # of a chunked body, besides
    chunk: int = 16  # bytes of the average chunk
    framing: int = 64 * 1024  # of a chunked body, beside as many bytes as the body has
    unpacked_freely: int = 1024**2  # of a compressed body, whatever its size
    unpacked_ratio: int = 100  # to its size, beyond that
    write_buffer: int = 64 * 1024  # of one connection, before its next request is run or read
    idle_seconds: float = 125.0  # longer than the pools of common clients keep an unused connection
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    write_seconds: float = 30.0
    linger_seconds: float = 2.0
    request_id: int = 128  # of a caller's x-request-id that is echoed
    logged_failures: float = 5.0  # lines about one status at once; then one a second
    logged_error: int = 500  # characters
    # HTTP/2 and gRPC
    streams: int = 128  # of one connection at a time
    frames: int = 32  # of one connection before others have their turn
    reading_seconds: float = 0.002  # of one address, and of all that are queued, in a turn of the event loop
    watches: int = 16  # calls of one connection that last until it ends
    header_fields: int = 128  # of one call
    idle_frames: float = 1_000.0  # without a request in them that one address may send at once
    idle_frames_per_second: float = 200.0
    idle_frames_per_result: float = 4.0
    counted: int = 1024  # bytes of a message, beyond which what is decoded from it is counted
    unread: int = 16 * 1024**2  # of answers that one connection does not take, unless it is a single answer
    unread_rate: float = 1024.0  # bytes per second at which an answer has to be taken after `write_seconds`


# Prometheus and the kubelet send no bodies and need few connections.
ADMIN = Limits(body=64 * 1024, memory=1024**2, connections=64, refused_connections=16)


@dataclass(frozen=True)
class TrafficLimits:
    """Between two revisions of a model, for one pod. Sizes in bytes."""

    rule: int = 64 * 1024  # of the traffic rule's file
    matches: int = 16  # headers that lead to the other revision
    requests: int = 256  # that wait for the other revision's answer, copies included
    idle: int = 64  # connections that are kept unused
    head: int = 16 * 1024  # of an answer
    answer: int = 64 * 1024**2
    parsed: int = 64 * 1024  # JSON of an answer that is parsed before it is passed on; of more, only its ends
    fields: int = 20_010  # of a protobuf message: 10,000 tensors in two parts each
    unpacked: int = 1024**2  # of a compressed gRPC message that is delegated or copied
    hurried: int = 32  # of them, whose caller could not wait for it
    copies: int = 32  # copied requests that wait for their answer
    copied: int = 256 * 1024  # of a copied request, and of each answer that is compared
    passed_names: int = 16  # headers that the administrator lists
    passed_value: int = 4 * 1024  # of one header that is passed on; a longer one is left out
    passed: int = 8 * 1024  # of all of them; those that do not fit are left out


TRAFFIC = TrafficLimits()


@dataclass(frozen=True)
class FeedbackLimits:
    """Of prediction tokens and of what comes back with them. Sizes in bytes."""

    tokens: int = 1024  # rows of a request whose predictions get tokens
    tokens_at_once: int = 32  # of them, that are made on the event loop
    body: int = 1024**2  # of a request with feedback
    document: int = 8 * 1024**2  # of the values of its JSON, as they are estimated
    entries: int = 10_000  # of a request with feedback
    entries_at_once: int = 64  # counted in one turn of the event loop
    least_key: int = 16
    key: int = 4096
    keys: int = 8
    key_files: int = 64  # that are looked at for them
    remembered: int = 400_000  # tokens that are known to be counted, before the oldest are forgotten
    windows: int = 3
    models: int = 8  # whose predictions are counted apart, in one window
    pairs: int = 1024  # of a predicted and a true class, counted for one model
    models_shown: int = 32  # in the view of a rollout


FEEDBACK = FeedbackLimits()
