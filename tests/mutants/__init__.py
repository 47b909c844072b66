"""Known bugs, put into the product one at a time, that the simulator must catch: see docs/simulator.md."""
