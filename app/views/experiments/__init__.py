"""The experiments page and its sections."""
