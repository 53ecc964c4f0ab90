"""What the pods of the stable revision counted, summed up, judged once a window, and kept. Pure."""
