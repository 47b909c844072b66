"""Measures `iris serve` from outside: loads by the engine's load generator, figures from the kernel's clocks."""
