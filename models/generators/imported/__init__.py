"""Generators from elsewhere: an ONNX file, or weights of a known architecture, made a package like the house's own."""
