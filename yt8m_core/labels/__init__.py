"""Label statistics of a data set: counts, imbalance, co-occurrence, and label clusters."""
