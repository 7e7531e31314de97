"""Parts of the page attention."""
