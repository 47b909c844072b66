"""A black-box checker of messaging servers: `iris torture URL`.

It registers users of its own, drives real clients in processes of their own, hurts them and their connections, records
what every device did and saw, and judges the record. It knows the client SDK and nothing of the server:

- `history`: the record. `facts`, `judge`: what the record means and whether the promises held; pure functions.
- `adapter`, `iris_adapter`: what a server's client must be able to do, and how the Iris SDK does it.
- `worker`, `rider`: a process with one device or a few. `gate`: the TCP proxy in front of it. `crew`: the hand on both.
- `driver`, `faults`: the run.
- `report`: the page at the end. `soak`: the same traffic for longer, and whether the server stays as it was.
"""
