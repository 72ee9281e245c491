"""Devices that are read directly, without a program of their maker's: boards that BrainFlow knows (extra `devices`)."""
