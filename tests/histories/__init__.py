"""Random histories of rollouts, decided by the pure core alone: millions of them, each held to its promises."""
