"""What a person sees of an object: read, put into words, drawn. Knows no cluster and no terminal."""
