"""Parts of the page imbalance."""
