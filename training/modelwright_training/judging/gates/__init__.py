"""Measures what a run's gates ask for. Whether that is enough is judged by the operator."""
