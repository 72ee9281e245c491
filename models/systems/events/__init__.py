"""Classes of events, read from the epochs around them: P300 flashes, faces and houses, any recording with markers."""
