"""HYPER (Dado et al. 2022) on its release: from measured responses to the latents of PGGAN."""
