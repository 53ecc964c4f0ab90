"""Reads and writes what lies outside the cluster: clouds, web servers, registries. A library of two programs: the steps
of training and the server's `modelwright-pull`. It knows neither data nor models."""
