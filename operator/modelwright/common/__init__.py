"""What the planners of all kinds share: names, conditions, pod manifests and how to read pods. Pure."""
