"""ModelVersion: finds out, once, whether the model file is what the spec says and what it can do."""
