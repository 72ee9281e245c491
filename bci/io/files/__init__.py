"""Files on disk: recordings of every format, checksums, folders, and reading what is not trusted."""
