"""How a server is set up: one typed model, read once at start, with the origin of every value.

Order: flags, then IRIS_… of the environment, then iris.toml, then the defaults. Knows nothing of what the values do.
"""

from iris.config.derived import FileLimit, raise_file_limit
from iris.config.load import ConfigError, Loaded, load, load_lenient
from iris.config.model import Address, Settings

__all__ = [
    "Address",
    "ConfigError",
    "FileLimit",
    "Loaded",
    "Settings",
    "load",
    "load_lenient",
    "raise_file_limit",
]
