"""Steps on volumes: what an imaging pipeline does before windows are cut, volume by volume."""
