"""Adversarial training: the game, its losses, its state on disk."""
