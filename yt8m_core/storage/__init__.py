"""Checked paths, atomic writes, typed JSON and tensor files."""
