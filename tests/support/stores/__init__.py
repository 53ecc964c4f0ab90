"""Real servers of stores, for tests, and stubs of what has no server: each a context manager, on a port of its own.

They listen on loopback unless `host` says otherwise; pods of the cluster reach `NODE_ADDRESS`."""
