"""ModelInferResponse to its outputs, by name: to compare the answers of two servers."""

from modelwright_serving import protobuf
from modelwright_serving.limits import TRAFFIC
from modelwright_serving.oip.binary import from_bytes
from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.response import Outputs, output
from modelwright_serving.protobuf import FieldLimit
from modelwright_serving.rpc import messages


def read(data: bytes) -> Outputs:
    """The outputs, whose contents have to be raw, as this server sends them; OipError if they are not there."""
    try:
        limit = FieldLimit(TRAFFIC.fields, ValueError("it has too many fields"))
        fields = list(protobuf.read(data, 0, len(data), limit))
        described = [messages.tensor_fields(data, item, limit) for item in fields if item.number == 5]
        raw = [memoryview(data)[item.start : item.stop] for item in fields if item.number == 6]
        return {
            found.name: output(found.datatype, from_bytes(content, found.datatype, found.shape))
            for found, content in zip(described, raw, strict=True)
        }
    except (protobuf.WireError, LookupError, ValueError) as error:
        raise OipError(f"the answer is no ModelInferResponse: {error}") from None
