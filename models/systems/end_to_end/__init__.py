"""End-to-end reconstruction (Shen et al. 2019, Frontiers in Computational Neuroscience 13:21)."""
