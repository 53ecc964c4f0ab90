"""Reads an InferenceService and describes it as text for people. Knows no cluster and no terminal."""
