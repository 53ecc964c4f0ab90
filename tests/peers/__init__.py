"""Other servers and clients of the protocol, each in a virtual environment of its own."""

from peers.environments import NAMES, environment
from peers.running import MODEL, SERVERS, Peer, running

__all__ = ["MODEL", "NAMES", "SERVERS", "Peer", "environment", "running"]
