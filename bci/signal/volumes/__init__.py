"""Steps on volumes: an imaging pipeline before windows are cut, volume by volume."""
