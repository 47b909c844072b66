"""Client connections: sessions, tokens, limits per device, the way to the shard that owns a user."""
