"""Sections of the correlation page."""
