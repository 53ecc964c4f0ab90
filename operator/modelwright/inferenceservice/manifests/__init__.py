"""The objects of an InferenceService as manifests."""
