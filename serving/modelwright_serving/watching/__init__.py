"""Counts of what callers send and get, in the cells of the model's profile. No row is kept."""
