"""Networks, readouts, training, evaluation and export."""
