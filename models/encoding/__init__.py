"""Encoding models: how a brain answers pictures, and trials dreamed by them."""
