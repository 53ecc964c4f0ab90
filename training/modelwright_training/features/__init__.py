"""What a model sees of a row: the columns of the data turned into numbers and texts."""
