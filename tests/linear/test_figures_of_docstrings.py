"""What docstrings say of classes never trained on is what the recorded benchmark says."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from skmetric import linear

RECORDED = (Path(__file__).parents[2] / "doc/measured/weak_supervision.txt").read_text("utf-8")
ROW = re.compile(r"^  (\w+)\(\) .*? ([+-][\d.]+) \+- ", re.MULTILINE)  # learner, gain over Euclid in percent
TABLES, SUMMARY = RECORDED.split("weak_supervision.py summary")
MEANS = {name: float(gain) for name, gain in ROW.findall(SUMMARY)}


@pytest.mark.parametrize("name", sorted(set(linear.__all__) - {"MLKR"}))  # which learns no classes
def test_a_default_that_is_worse_than_euclid_says_so_with_the_figure(name):
    text = " ".join(inspect.getdoc(getattr(linear, name)).split())
    stated = re.search(r"MAP@R is ([\d.]+) ?% lower,? on average", text)
    if MEANS[name] >= 0:
        assert stated is None
        return
    assert float(stated[1]) == pytest.approx(-MEANS[name], abs=0.5)
    gains = np.round([float(gain) for learner, gain in ROW.findall(TABLES) if learner == name])
    for low, high in re.findall(r"from (-\d+)% to \+(\d+)%", text):
        assert (int(low), int(high)) == (gains.min(), gains.max())
    for count in re.findall(r"lower on (\w+) of them", text):
        assert {"four": 4, "five": 5}[count] == (gains < 0).sum()
