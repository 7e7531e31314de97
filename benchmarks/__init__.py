"""Benchmarks against other libraries and hardware limits: ``python -m benchmarks``."""
