"""Signals that end programs: Ctrl-C, a polite kill, and where there is one the closing of the terminal."""

import signal

#: A program hears none of them until it knows what to do with them; the supervisor turns each into an ordered end.
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
