"""The protocol's published clients against our server, each in an environment of its own."""
