"""TFRecord files: framing, the contents of a record, and reading through memory maps."""
