"""Phase and power of a rhythm now, from the past alone: theta of the hippocampus from its local field potential."""
