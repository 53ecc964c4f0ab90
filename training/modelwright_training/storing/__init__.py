"""Keeps artifacts, written once, and removes them."""
