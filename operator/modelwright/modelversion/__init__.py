"""ModelVersion: verifies a model file once, and reports its facts, its use and its quarantine."""
