"""Multiscale local decoders of contrast pictures (Miyawaki et al. 2008, Neuron 60:915)."""
