"""Comparison of readouts on the same folds of one data set."""
