"""Simulated hold-outs: how often a gate is wrong, and how many rows it takes to decide."""
