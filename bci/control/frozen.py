"""Imported last in the nursery: it freezes what is there by then, so that no program's collection looks at it.

A collection writes into the header of every object that it looks at, and with that copies the page for the process that
collects. What is frozen before the fork stays shared by all programs.
"""

import gc

gc.collect()
gc.freeze()
