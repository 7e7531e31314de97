"""Download YouTube-8M: which shards a partition has, and how they are fetched and checked."""
