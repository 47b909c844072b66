"""How nodes reach each other: the port, and the in-process adapter."""
