"""What pages are made of, a folder a page; a page itself is a script in views/."""
