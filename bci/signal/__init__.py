"""Pure arrays and time: what a sample, a window and a filter are."""
