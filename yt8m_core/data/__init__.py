"""Data pipeline: TFRecord shards → index → videos → batches, without TensorFlow."""
