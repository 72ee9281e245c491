"""Simulated experiments: trials of the simulated participant, and their oracle."""
