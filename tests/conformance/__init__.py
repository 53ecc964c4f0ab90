"""A conformance suite for servers of the Open Inference Protocol V2: run it against any server by its URL.

`python -m conformance --http URL [--grpc HOST:PORT]`; it knows nothing of any server but what the protocol says.
"""
