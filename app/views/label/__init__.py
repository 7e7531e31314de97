"""Sections of the label page."""
