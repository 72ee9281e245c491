"""XDF files: written chunk by chunk with checksums, walked, read, verified and repaired."""
