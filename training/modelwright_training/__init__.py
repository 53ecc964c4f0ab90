"""The steps that run inside a training pod: fetch, train, publish and verify."""
