"""Predictions that come back with the truth: tokens, their keys, and the scores that are counted from them."""
