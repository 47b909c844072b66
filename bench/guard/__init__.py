"""The regression guard: instruction counts of fixed work against stored baselines, never a wall clock."""
