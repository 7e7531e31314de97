"""Parts of the page predictions."""
