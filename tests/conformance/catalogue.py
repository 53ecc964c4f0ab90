"""Every check, in the order of the report."""

from conformance.checks import Check
from conformance.over_grpc import errors as grpc_errors
from conformance.over_grpc import inference as grpc_inference
from conformance.over_grpc import service, transport
from conformance.over_http import (
    binary,
    binary_refused,
    callers,
    compression,
    concurrency,
    datatypes,
    errors,
    health,
    http11,
    inference,
    metadata,
    responses,
)

HTTP = (
    *(health, metadata, inference, responses, datatypes, errors),
    *(binary, binary_refused, compression, http11, callers, concurrency),
)
GRPC = (service, grpc_inference, grpc_errors, transport)


def checks() -> list[Check]:
    return [check for module in (*HTTP, *GRPC) for check in module.GROUP.checks]
