"""Where the tests find golden numbers: in this repository, and beside it."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
SHARED = ROOT.parent / "shared"

# The whole reference where it is at hand, the compact committed copy in a bare clone.
REFERENCE = SHARED / "reference" if SHARED.is_dir() else GOLDEN / "reference"

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs ../shared: real weights, data and the whole reference"
)
