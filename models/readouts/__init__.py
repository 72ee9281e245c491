"""Maps from neural data to latents; what runs is NumPy, what fits is NumPy, SciPy, scikit-learn or torch."""
