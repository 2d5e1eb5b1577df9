"""Runs a test suite with pytest, in this process."""
# packages: pytest

import os
import sys

import pytest

if __name__ == "__main__":
    suite = os.path.join(os.path.dirname(os.path.abspath(__file__)), "suite")
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", suite]))
