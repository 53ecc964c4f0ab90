"""A small Kubernetes for development: kind where Docker answers, else its programs on this host.

Runs before any virtual environment exists: the standard library is all it uses.
"""
