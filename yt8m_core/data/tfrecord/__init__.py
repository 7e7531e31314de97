"""TFRecord files: framing, record contents, and memory-mapped reading."""
