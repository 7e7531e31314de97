"""Analyses of labels and videos, computed from labels and cached scores without running a model."""
