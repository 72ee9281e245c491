"""One decoder class for live decoding, reproduction, evaluation and rendering."""
