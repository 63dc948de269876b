"""Draw the pictures of the README and of the front page: ``python doc/draw.py`` (extra ``plot``).

gains.png is drawn from ``doc/measured``; a test tells when the figures there have changed since. glyphs.png
is drawn from characters that a small network was not trained on; training takes a minute.
"""

import hashlib
import sys
from pathlib import Path

DOC = Path(__file__).parent
sys.path.insert(0, str(DOC / "_ext"))

import charts
import readings

STATIC = DOC / "_static"
SOURCE = "metric_learner_quality"


def digest():
    """What gains.png was drawn from."""
    return hashlib.sha256(repr(readings.quality(readings.text_of(SOURCE))).encode()).hexdigest()[:16]


def draw_gains():
    """The chart of measured gains."""
    figure = charts.quality(readings.text_of(SOURCE))
    figure.savefig(STATIC / "gains.png", dpi=144, metadata={"Software": "", "Comment": digest()})


def draw_glyphs():
    """Queries with their neighbours, by pixels and by what was learned."""
    import numpy as np
    from matplotlib.figure import Figure
    from sklearn.preprocessing import normalize

    from skmetric import DeepMetricLearner
    from skmetric.datasets import make_glyphs
    from skmetric.metrics import recall_at_k
    from skmetric.model_selection import class_disjoint_split
    from skmetric.retrieval import nearest

    glyphs = make_glyphs(400, random_state=0)
    train, test, y_train, y_test = class_disjoint_split(
        glyphs.images, glyphs.target, test_size=100, random_state=0
    )
    learner = DeepMetricLearner(
        "conv4", augment="affine", learning_rate=3e-3, schedule="one_cycle", max_epochs=8, random_state=0
    ).fit(train, y_train)
    ways = {
        "cosine of pixels": normalize(test.reshape(len(test), -1) / 255),
        "DeepMetricLearner": learner.transform(test),
    }
    asked = np.flatnonzero(np.diff(y_test, prepend=-1))[
        [3, 17, 42, 60, 81]
    ]  # the first image of five characters
    figure = Figure(figsize=(8.2, 4.1), layout="constrained")
    for part, (name, embeddings) in zip(figure.subfigures(1, 2, wspace=0.06), ways.items(), strict=True):
        found = nearest(embeddings[asked], embeddings, k=6).indices
        grid = part.subplots(len(asked), 6)
        for query, neighbors, row in zip(asked, found, grid, strict=True):
            others = [item for item in neighbors if item != query][:5]
            for axes, item in zip(row, [query, *others], strict=True):
                right = y_test[item] == y_test[query]
                color = "black" if item == query else charts.BLUE if right else charts.ORANGE
                axes.imshow(255 - test[item], cmap="gray", vmin=0, vmax=255)
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set(color=color, linewidth=1 if item == query else 2.5)
                if item != query:
                    axes.set_xlabel("\N{CHECK MARK}" if right else "\N{BALLOT X}", color=color, labelpad=0)
        part.suptitle(f"{name}: recall@1 {recall_at_k(embeddings, y_test):.2f}")
    figure.savefig(STATIC / "glyphs.png", dpi=110)


if __name__ == "__main__":
    draw_gains()
    draw_glyphs()
