"""Input and output of samples: Lab Streaming Layer and files."""
