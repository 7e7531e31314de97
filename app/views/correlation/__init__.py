"""Parts of the page correlation."""
