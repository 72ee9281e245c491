"""Systems: each a folder with its settings, training, held-out trials and report, described in its ``system.py``."""
