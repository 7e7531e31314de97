"""Sections of the experiments page."""
