"""HTTP/1.1 for this server: the connection, its bounds, and the routes. Knows the protocol layer, not ONNX."""
