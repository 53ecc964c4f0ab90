"""Simulated rollouts: how often a verdict is wrong, and after how many requests a bad revision is found."""
