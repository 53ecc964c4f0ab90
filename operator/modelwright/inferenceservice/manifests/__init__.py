"""The manifests of the objects that the operator makes for an InferenceService."""
