"""Recorded sessions as data: the reading of each trial, scored and reported."""
