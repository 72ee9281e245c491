"""Alpha rhythm: eyes open or closed, read from occipital EEG and drawn as an eye."""
