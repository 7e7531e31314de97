"""Download YouTube-8M: download plans, and fetching and verifying shards."""
