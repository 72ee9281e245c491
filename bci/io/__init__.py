"""Where samples come from and where they go: Lab Streaming Layer and files."""
