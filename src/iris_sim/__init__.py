"""The deterministic simulator: whole Iris clusters, clients and faults in virtual time, from one seed.

`run.run_seed` runs one seed. Nothing but the `iris sim` command imports this package. docs/simulator.md tells how to
read what it finds.
"""
