"""Inference on data sets: evaluation, prediction, ensembles, and caches of scores and pooled frames."""
