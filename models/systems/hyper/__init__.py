"""HYPER (Dado et al. 2022) in silico: from responses to the latents of a generator of faces."""
