"""Iris, the messaging server. Each package below says what it owns; imports point one way (ARCHITECTURE.md)."""

from importlib.util import find_spec

__version__ = "0.1.0"


def is_compiled() -> bool:
    """Whether the hot modules run compiled (scripts/compile.py): the same rules as their sources, in less time."""
    found = find_spec("iris.core.shard")
    return found is not None and not str(found.origin).endswith(".py")
