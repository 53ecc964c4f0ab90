"""Which of its rights the operator has used: `make rights`, after the tests of the cluster."""
