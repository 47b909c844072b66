"""Iris, the messaging server. Each package below says what it owns; imports point one way (ARCHITECTURE.md)."""

__version__ = "0.1.0"
