"""Sections of the videos page."""
