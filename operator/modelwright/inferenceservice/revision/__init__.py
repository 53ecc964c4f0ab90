"""The revision that the spec wants, those that exist, and whether one can replace another."""
