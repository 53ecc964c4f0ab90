"""The Open Inference Protocol V2 over gRPC, and the health service. Streams and windows are left to `http2`."""
