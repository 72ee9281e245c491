"""Published recordings and pictures that models are trained on."""
