"""The names of everything that may happen to a world, with how often it does: operations of people, and faults.

What each does is in operations.py and faults.py.
"""

from __future__ import annotations

from typing import Final

OPERATIONS: Final[dict[str, float]] = {
    "send": 30,
    "burst": 8,  # several messages at once; each is an operation
    "read": 14,
    "type": 5,
    "watch": 8,
    "offline": 5,
    "online": 12,
    "quit": 3,  # the app is killed and started again
    "link": 2,  # one more device
    "relink": 3,  # a device that was logged out logs in again, on its old profile
    "unlink": 1,  # this device, or another one of the same user
    "logout_all": 0.4,
    "password": 0.4,
    "revoke": 1,  # the access token in use
    "block": 1,
    "unblock": 2,
    "contact": 2,
    "forget_contact": 1,
    "presence": 1,  # who may see
    "messages": 0.7,  # who may write
    "receipts": 1,  # whether the peer is told what was read
    "rename": 0.3,
    "handle": 0.4,
    "account": 0.3,
    "devices": 0.5,
    "lists": 0.5,
    "profile": 0.5,
    "delete": 0.15,
    "backup": 1,  # of a server's store, or of a profile
}

FAULTS: Final[dict[str, float]] = {
    "cut": 4,  # a connection breaks, with what is under way half delivered
    "vanish": 3,  # a client is not heard any more, or does not hear, for a time
    "cut_off": 1,  # all clients of a server, likewise
    "kill": 4,  # a client's process dies; its commit under way may be done or not
    "slow_client": 2,  # its disk takes long
    "restore_profile": 2,  # an older copy of a profile is put back
    "crash": 3,  # kill -9 of a server; its commit under way may be torn
    "drain": 1,  # a server is stopped in order, and started again
    "pause": 1,  # a server process stands still for a time
    "slow_disk": 2,
    "slow_reads": 1,
    "full": 1,  # the disk says no: the server stops, and starts again
    "lose": 2,  # batches between servers are lost, for a time
    "repeat": 1,
    "late": 2,  # ... come late, and out of order
    "hollow": 1,  # ... come without their contents
    "partition": 2,  # some servers do not reach the others, or one way only
    "no_answer": 1,  # requests of the API or their answers are lost, for a time
    "restore_store": 1,  # a server's store is set back to a backup
    "skew": 1,  # a server's clock jumps
    "skew_client": 1,
    "skew_far": 0.5,  # ... by days, and back after some seconds
    "leap": 0.7,  # days pass at once
}
