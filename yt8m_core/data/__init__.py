"""The data path: TFRecord shards → index → videos → batches, without TensorFlow."""
