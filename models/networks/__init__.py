"""Convolutional networks that look at pictures: comparators, features that are decoded, encoding models."""
