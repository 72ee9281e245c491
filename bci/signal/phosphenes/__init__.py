"""Phosphenes: pictures become stimulation of an electrode grid, and that what its bearer would see. No hardware.

`grid` says where each electrode's phosphene lies, `pulses` which current may flow, `features` what of a picture is
conveyed, `view` joins them.
"""
