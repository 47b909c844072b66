"""`python -m iris` is `iris`."""

from iris.cli import main

main()
