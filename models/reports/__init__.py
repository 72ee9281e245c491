"""Reports score a decoder: a page for people, and the same figures as JSON."""
