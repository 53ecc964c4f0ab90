"""Whether rows of different callers may share a run: a proof from the graph, then a trial with hostile rows."""
