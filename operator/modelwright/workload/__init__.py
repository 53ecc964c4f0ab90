"""Pods, the stores that they mount and the Jobs that run them: one way for every kind. Pure."""
