"""What is measured of a rollout, and the verdict on it."""
