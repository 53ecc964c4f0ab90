"""The documents and clients that checks cite."""

from conformance.checks import Citation


def rest(text: str) -> Citation:
    return Citation("kserve/open-inference-protocol: inference_rest.md", text)


def schema(text: str) -> Citation:
    return Citation("kserve/open-inference-protocol: open_inference_rest.yaml", text)


def grpc(text: str) -> Citation:
    return Citation("kserve/open-inference-protocol: inference_grpc.md", text)


def proto(text: str) -> Citation:
    return Citation("kserve/open-inference-protocol: open_inference_grpc.proto", text)


def kserve_api(text: str) -> Citation:
    return Citation("kserve/kserve: docs/predict-api/v2/required_api.md", text)


def binary(text: str) -> Citation:
    return Citation("triton-inference-server/server: docs/protocol/extension_binary_data.md", text)


def triton(text: str) -> Citation:
    return Citation("triton-inference-server/server: docs/protocol/README.md", text)


def rfc9110(section: str, text: str) -> Citation:
    return Citation(f"RFC 9110 (HTTP semantics), section {section}", text)


def rfc9112(section: str, text: str) -> Citation:
    return Citation(f"RFC 9112 (HTTP/1.1), section {section}", text)


def rfc(number: int, text: str) -> Citation:
    return Citation(f"RFC {number}", text)


def tritonclient(text: str) -> Citation:
    return Citation("tritonclient 2.73.0 (client)", text)


def kserve_client(text: str) -> Citation:
    return Citation("kserve 0.21.0 (client)", text)


def practice(text: str) -> Citation:
    return Citation("practice", text)


INFER_FAILURE = kserve_api(
    "A failed inference request must be indicated by an HTTP error status (typically 400). "
    "The HTTP body must contain the $inference_error_response object."
)
METADATA_FAILURE = rest(
    "A failed model metadata request must be indicated by an HTTP error status (typically 400). "
    "The HTTP body must contain the $metadata_model_error_response object."
)
INFER_SUCCESS = rest("A successful inference request is indicated by a 200 HTTP status code.")
GRPC_FAILURE = grpc(
    "Errors are indicated by the google.rpc.Status returned for the request. "
    "The OK code indicates success and other codes indicate failure."
)
