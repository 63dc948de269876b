"""
Features, metric, k-NN: one pipeline
====================================

The README's pipeline, from images to names: features of a frozen network, a metric learned on them, k-NN in that
metric. It is a scikit-learn pipeline, so it is scored, cloned, cached and saved as every other.

A network with pretrained weights would be downloaded, so here the network is a small one that was never trained, and
the images are scikit-learn's digits: random convolutions are features, too, and poor enough to leave a learner something to do.
With ``--full`` the images are groceries and the network is MobileNetV2, read from
``grocery.npz`` and ``weights/`` by the ``load.py`` beside them, a minute on a CPU::

    python examples/metric/pipeline.py --full --data DIR
"""

import argparse
import runpy
import tempfile
from pathlib import Path
from time import perf_counter

import joblib
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skmetric import FrozenFeatures, MetricLearner
from skmetric.inspection import EmbeddingDisplay

parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="groceries and a pretrained network")
parser.add_argument("--data", default="../shared/data", help="folder with load.py and grocery.npz")
options = parser.parse_args()
