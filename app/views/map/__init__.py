"""Sections of the map page."""
