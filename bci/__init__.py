"""The live system and the signal code: from a sample to a decoded frame."""
