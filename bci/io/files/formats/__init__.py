"""The file formats of recordings, one module each; `bci.io.files.recording` chooses among them."""
