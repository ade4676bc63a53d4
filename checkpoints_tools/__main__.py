"""`python -m checkpoints_tools COMMAND`: the same as `keras-albert COMMAND`."""

import sys

from checkpoints_tools.launcher import main

if __name__ == "__main__":
    sys.exit(main())
