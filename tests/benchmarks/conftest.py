"""The benchmarks are scripts that import each other as neighbours."""

import sys

from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
