"""The demo world: synthetic data in YouTube-8M format with known causes, and runs trained on it."""
