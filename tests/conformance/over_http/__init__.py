"""Checks over HTTP, a file for each subject."""
