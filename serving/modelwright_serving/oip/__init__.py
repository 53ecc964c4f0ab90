"""The Open Inference Protocol V2 as pure functions: bytes to tensors and back. Knows no socket and no model runtime."""
