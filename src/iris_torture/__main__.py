"""`python -m iris_torture URL`."""

import sys

from iris_torture.cli import main

sys.exit(main())
