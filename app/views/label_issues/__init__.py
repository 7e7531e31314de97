"""Sections of the label issues page."""
