"""Answers about labels and videos, from labels and cached scores; no model runs here."""
