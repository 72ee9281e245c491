"""Settings files: the TOML loader, and what a session file may say."""
