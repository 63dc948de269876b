"""Seeded samples of benchmarks/trust.py: bits flipped, processes killed, input that attacks."""

import os
import re
import sys
from pathlib import Path

import pytest

TRUST = Path(__file__).parents[2] / "benchmarks/trust.py"


@pytest.mark.skipif(sys.platform != "linux", reason="forks and /proc, as Linux has them")
def test_nothing_is_silent_raw_or_lost(another_process):
    sizes = ["--ours", "--flips", "34", "--kills", "7", "--inputs", "100", "--cycles", "50"]
    out = another_process.run(TRUST.read_text("utf-8"), *sizes, env=os.environ | {"OMP_NUM_THREADS": "1"})
    rows = [line.rsplit(maxsplit=6) for line in out.splitlines() if line.startswith("  skmetric")]
    rows = [row for row in rows if row[-1].isdigit()]
    assert len(rows) == 11, out  # three formats flipped and killed, a checkpoint, two fits, images, names
    for name, *numbers in rows:
        n_cases, named, *bad, same = map(int, numbers)
        assert n_cases == named + same > 0 == sum(bad), (name, out)
    assert re.search(r"skmetric\.io +does not run", out)
