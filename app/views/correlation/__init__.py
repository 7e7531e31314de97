"""The correlation page and its sections."""
