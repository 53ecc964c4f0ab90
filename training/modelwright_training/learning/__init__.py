"""Builds, fits and converts estimators."""
