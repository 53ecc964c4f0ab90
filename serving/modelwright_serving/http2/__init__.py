"""HTTP/2 (RFC 9113) over cleartext with prior knowledge, for servers of complete requests. Knows nothing of gRPC."""
