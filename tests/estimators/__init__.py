"""Runs every classifier and regressor through the steps of a training pod, and writes what came of it into a page."""
