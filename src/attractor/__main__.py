"""`python -m attractor`."""

import sys

from attractor.cli import main

if __name__ == "__main__":
    sys.exit(main())
