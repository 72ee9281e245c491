"""Readouts compared side by side on the same folds."""
