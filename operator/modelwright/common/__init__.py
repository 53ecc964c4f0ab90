"""What all kinds share: conditions, names of kinds and labels, settings, names of facts. Pure."""
