"""Verdicts of checks, and their statistics. Pure."""
