"""The published systems that this project runs, one module each."""
