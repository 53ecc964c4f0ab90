"""InferenceService: serves a ModelVersion and replaces it without a failed request."""
