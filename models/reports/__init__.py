"""Reports: what a decoder was worth, as a page for people and the same figures for machines."""
