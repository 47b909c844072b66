"""Where what is shipped lies: a process that a test starts runs compiled modules, as the wheel holds them.

Only where `make compiled` has made them from the sources as they are; elsewhere the sources run. Not for a process that
replaces functions: compiled modules do not let that happen.
"""

from __future__ import annotations

from functools import cache

from scripts.compile import OUT, is_current


@cache
def shipped_path() -> tuple[str, ...]:
    """What comes first in PYTHONPATH. Looked at once: it reads every source."""
    return (str(OUT),) if is_current() else ()
