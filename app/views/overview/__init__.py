"""Sections of the overview page."""
