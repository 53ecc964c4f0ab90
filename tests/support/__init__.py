"""What tests share: kubectl in a namespace of the test's own, and waiting with a reason."""
