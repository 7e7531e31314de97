"""Atomic writes, typed JSON and tensor files."""
