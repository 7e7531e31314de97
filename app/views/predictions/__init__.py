"""Sections of the predictions page."""
