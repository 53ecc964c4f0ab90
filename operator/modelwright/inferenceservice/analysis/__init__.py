"""The measurements of a rollout, and the verdict on them."""
