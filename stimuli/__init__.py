"""Stimuli: the participant's screen, protocols and tones; joined to the decoder only by rings in shared memory."""

import os

# Read when pygame and SDL start: no banner on standard output, and a full-screen picture that stays when the
# operator clicks on another monitor.
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ.setdefault("SDL_VIDEO_MINIMIZE_ON_FOCUS_LOSS", "0")
