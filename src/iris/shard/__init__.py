"""The shell around the shards: turns, commits, loads, leases."""
