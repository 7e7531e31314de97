"""The demo world: made-up data in YouTube-8M's format with known causes, and the runs trained on it."""
