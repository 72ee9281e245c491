"""Shipped simulators with known answers."""
