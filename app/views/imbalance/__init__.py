"""Sections of the imbalance page."""
