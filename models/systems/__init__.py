"""The published systems that this project runs, one folder each."""
