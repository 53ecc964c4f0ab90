"""Describes the hold-out in counts, for comparison with the rows that a server answers."""
