"""Readouts map neural data to latents; they run in NumPy and are fitted in NumPy, SciPy, scikit-learn or torch."""
