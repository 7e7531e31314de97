"""Explanations of a model's scores: attention, occlusion, and attribution."""
