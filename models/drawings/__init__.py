"""Drawings: pictures of eyes and faces drawn by program, so that every attribute of them is known."""
