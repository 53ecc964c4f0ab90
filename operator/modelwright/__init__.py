"""Modelwright control plane: API types, operator and command line."""
