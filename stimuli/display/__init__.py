"""The programs that own the screen, with a window or without one, and what they draw."""
