"""The steps of a pipeline: filters, features, montage, masking."""
