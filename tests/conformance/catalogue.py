"""Every check, in the order of the report."""

from conformance.checks import Check
from conformance.over_http import (
    binary,
    compression,
    concurrency,
    datatypes,
    errors,
    health,
    http11,
    inference,
    metadata,
)

HTTP = (health, metadata, inference, datatypes, errors, binary, compression, http11, concurrency)


def checks() -> list[Check]:
    return [check for module in HTTP for check in module.GROUP.checks]
