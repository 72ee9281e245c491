"""Where samples come from and where results go: streams, files, bundles, sessions."""
