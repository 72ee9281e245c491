"""Kinds of generators: each module describes one under the name ``KIND``, and imports torch only when asked to."""
