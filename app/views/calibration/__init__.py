"""Sections of the calibration page."""
