"""The HTTP API: accounts, sessions, devices, contacts and blocks, under /v1.

`create_api` makes the application, `ApiServer` serves it on a unix socket that the engine pipes connections to,
`KeyRing` holds the keys of its tokens and `Passwords` hashes. It keeps no state of its own but rate counters: what it
is asked, it asks the shard of the user through an `Authority`.
"""

from iris.http.api import create_api
from iris.http.authority import Authority
from iris.http.keys import KeyFileError, KeyRing
from iris.http.passwords import Argon2Profile, Passwords
from iris.http.server import ApiServer
from iris.http.service import ApiSettings

__all__ = [
    "ApiServer",
    "ApiSettings",
    "Argon2Profile",
    "Authority",
    "KeyFileError",
    "KeyRing",
    "Passwords",
    "create_api",
]
