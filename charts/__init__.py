"""What follows from the comments of the chart's values: its README and the descriptions of its schema."""
