"""Pod manifests, pod status, artifact stores, Jobs and refusals, in one way for every kind. Pure."""
