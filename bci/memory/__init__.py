"""Shared memory and the programs that share it: rings, streams, marks, events, the board."""
