"""Convert features and labels in other formats to shards."""
