"""Metrics of the YouTube-8M evaluation (GAP, Hit@1, PERR, mAP) and their bootstrap."""
