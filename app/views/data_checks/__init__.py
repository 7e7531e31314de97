"""Sections of the data checks page."""
