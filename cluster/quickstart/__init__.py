"""From nothing to a served prediction: `python3 -m cluster.quickstart`, or `make quickstart`."""
