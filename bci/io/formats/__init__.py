"""The file formats a recording may come in, one module each; `bci.io.recording` chooses among them."""
