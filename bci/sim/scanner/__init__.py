"""A simulated scanner: volumes with known content, as files of every maker's format, in time or in trouble."""
