"""Which revision the spec asks for, which ones there are, and whether one can take the place of another."""
