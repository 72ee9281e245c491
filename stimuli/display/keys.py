"""A key's name is what is printed on it, in small letters, as the settings of an experiment say it."""

import pygame


def key_name(event: pygame.event.Event) -> str:
    """Return the name of the key of a KEYDOWN event; those of the number pad are called as the others are."""
    name = str(pygame.key.name(event.key)).lower().strip("[]")
    return "return" if name in ("enter", "keypad enter") else name
