"""Recordings and pictures from elsewhere that models are trained on."""
