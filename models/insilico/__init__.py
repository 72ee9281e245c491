"""Trials of the simulated participant, and what an oracle reads of them."""
