"""The file formats a recording may come in, one module each; `bci.io.files.recording` chooses among them."""
