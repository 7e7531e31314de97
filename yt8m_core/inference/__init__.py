"""A model on a data set: evaluation, prediction, ensembles, and the caches of scores and pooled frames."""
