"""Recorded sessions as data: what was read of each trial, scored and reported."""
