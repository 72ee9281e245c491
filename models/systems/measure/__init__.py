"""Measures: a firing rate, a band's power or a region's mean, read around each stimulus without any fitting."""
