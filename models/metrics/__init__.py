"""Scores, each with its baselines, and significance that respects dependence in time."""
