"""Checks over gRPC, with messages of their own."""
