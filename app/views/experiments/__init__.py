"""Parts of the page experiments."""
