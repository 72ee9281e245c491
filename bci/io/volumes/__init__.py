"""A scanner's volumes: read from DICOM and NIfTI, received as files or over a network, placed in their run, sent on."""
