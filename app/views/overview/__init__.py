"""The overview page and its sections."""
