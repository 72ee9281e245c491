"""Certification runs a rig with a known source, breaks its programs on request, and reports the results."""
