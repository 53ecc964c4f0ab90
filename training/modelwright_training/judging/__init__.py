"""Measures a model on rows that its trainer has not seen, and writes down what was found."""
