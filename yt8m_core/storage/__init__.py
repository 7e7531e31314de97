"""Files that appear whole or not at all, typed JSON, and tensor files."""
