"""Shades: a third system, which lies outside the project and is known to it by its folder alone."""
