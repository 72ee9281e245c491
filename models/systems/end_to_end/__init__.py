"""End-to-end reconstruction (Shen, Dwivedi, Majima, Horikawa & Kamitani 2019, Frontiers in Computational Neuroscience 13:21)."""
