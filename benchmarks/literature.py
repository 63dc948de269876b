"""Sets of the literature by the protocol of "A Metric Learning Reality Check", published figures beside.

    python benchmarks/literature.py --data DIR [--sets NAME ...] [--model NAME] [--linear-only]

DIR holds your own downloads, a folder for each set: cub200, cars196, stanford_online_products, in_shop,
inaturalist2018, market1501, lfw, omniglot; a set that is not there is passed over. Rows of the table:

- frozen features of the network, by cosine;
- ``MetricLearner()`` on these features, fitted on the training classes;
- the network fine-tuned, by the protocol of K. Musgrave, S. Belongie, S.-N. Lim, "A metric learning reality
  check", ECCV 2020: the training classes are divided into four parts, one network is trained on each three
  of them and stopped by MAP@R of the fourth; 128 components, batches of 8 classes with 4 images, batch norms
  frozen, RMSprop at a constant 1e-6. Test classes are scored once, at the end. "separated" is the mean of
  the four networks, "concatenated" joins their embeddings.

It differs from the paper in the network (there BN-Inception, which timm does not have), in the augmentation
(there random crops), and in that hyperparameters of the loss are the defaults, where the paper searches them.
Market-1501 follows its own rule, by which a query does not find images of its person by its own camera; LFW
and Omniglot have no such split and are scored by their own protocols, on frozen features and
``MetricLearner()``. Published figures are P@1 of other networks and protocols: read them as an order of size.
"""

import argparse
import copy
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skmetric import DeepMetricLearner, FrozenFeatures, MetricLearner, datasets
from skmetric.deep import FineTuning
from skmetric.metrics import retrieval_report
from skmetric.model_selection import ClassDisjointKFold
from skmetric.retrieval import nearest

SCORES = {"recall_at_1": "P@1", "r_precision": "RP", "map_at_r": "MAP@R"}
READERS = {
    "cub200": datasets.load_cub200,
    "cars196": datasets.load_cars196,
    "stanford_online_products": datasets.load_stanford_online_products,
    "in_shop": datasets.load_in_shop,
    "inaturalist2018": datasets.load_inaturalist2018,
    "market1501": datasets.load_market1501,
    "lfw": datasets.load_lfw_pairs,
    "omniglot": datasets.load_omniglot,
}
# P@1 in percent, as others published it, each compared with the text that is named. The tables of Musgrave et
# al., and the accuracy of people on Omniglot, could not be read again, so their figures are left out. None of
# these follows the protocol above. Proxy-Anchor: README.md of github.com/tjddus9597/Proxy-Anchor-CVPR2020
PROXY_ANCHOR = "Proxy-Anchor, CVPR 2020, BN-Inception, 512"
PUBLISHED = {
    "cub200": (PROXY_ANCHOR, 69.1),
    "cars196": (PROXY_ANCHOR, 86.4),
    "stanford_online_products": (PROXY_ANCHOR, 79.2),
    "in_shop": (PROXY_ANCHOR, 91.9),  # that page: better than in the paper, with larger batches
    "inaturalist2018": ("Smooth-AP, ECCV 2020", 67.2),  # sotaverified.org, arXiv:2007.12163
    "market1501": ("Luo et al., CVPR workshop 2019 (mAP 85.9)", 94.5),  # abstract of arXiv:1903.07071
}


# Scores


def scores_of(embeddings, found):
    """P@1, RP and MAP@R of what is searched: among the test images, or of queries in the gallery."""
    report = partial(retrieval_report, scores=list(SCORES), n_resamples=200)
    y, gallery = found.target, found.split == "gallery"
    if not gallery.any():
        test = found.split == "test"
        return report(embeddings[test], y[test])
    query, groups = found.split == "query", {}
    if "groups" in found:  # a query does not find images of its person by its own camera
        groups = {"groups": found.groups[query], "groups_gallery": found.groups[gallery]}
    gallery_side = {"gallery": embeddings[gallery], "y_gallery": y[gallery]}
    return report(embeddings[query], y[query], **gallery_side, **groups)


def accuracy_of_folds(distances, y_pairs, fold):
    """LFW's protocol: accuracy on each fold by the best threshold of the others; mean, standard error."""
    accuracies = []
    for held_out in np.unique(fold):
        known = fold != held_out
        order = np.argsort(distances[known], kind="stable")
        candidates, same = distances[known][order], y_pairs[known][order] == 1
        right = np.cumsum(same) + (~same).sum() - np.cumsum(~same)  # accepted up to each distance
        threshold = candidates[np.argmax(right)]
        accepted = distances[~known] <= threshold
        accuracies.append(np.mean(accepted == (y_pairs[~known] == 1)))
    return np.mean(accuracies), np.std(accuracies, ddof=1) / np.sqrt(len(accuracies))


def accuracy_of_runs(embed, runs):
    """Omniglot's protocol: share of the queries whose nearest example is of their character."""
    right = [
        nearest(embed(queries), embed(examples), k=1).indices[:, 0] == answers
        for examples, queries, answers in zip(runs.examples, runs.queries, runs.answers, strict=True)
    ]
    return float(np.mean(right))


# Fine-tuning


def networks(found, options):
    """Fine-tune one network for each quarter of the training classes that is held out of it."""
    train = np.flatnonzero((found.split == "train") | (found.split == "background"))
    X, y = found.data[train], found.target[train]
    for i, (kept, held_out) in enumerate(ClassDisjointKFold(n_splits=4).split(X, y)):
        learner = DeepMetricLearner(
            options.model,
            weights=options.weights,
            n_components=128,
            loss=options.loss,
            classes_per_batch=8,
            samples_per_class=4,
            steps_per_epoch=options.steps,
            learning_rate=options.learning_rate,
            optimizer=torch.optim.RMSprop,
            fine_tuning=FineTuning(freeze_batch_norm=True),
            augment=["flip", "affine"],
            validation_fraction=None,
            image_size=options.image_size,
            random_state=i,
        )
        yield best_epoch(learner, X[kept], y[kept], X[held_out], y[held_out], options)


def best_epoch(learner, X, y, X_held_out, y_held_out, options):
    """Train until MAP@R of the classes held out has not risen for some epochs; return the best network."""
    best, highest, since = None, -np.inf, 0
    for epoch in range(options.epochs):
        learner.partial_fit(X, y)
        score = learner.score(X_held_out, y_held_out)
        print(f"    epoch {epoch + 1}: MAP@R of held-out classes {score:.4f}", flush=True)
        if score > highest:
            best, highest, since = copy.deepcopy(learner), score, 0
        else:
            since += 1
        if since == options.patience:
            break
    return best


# The table


def row(name, report):
    """Print one row of the scores that are known."""
    cells = "".join(f"{100 * report[score]:8.2f}" for score in SCORES if score in report)
    print(f"  {name:54}{cells}", flush=True)


def run_set(name, found, options):
    """Print the rows of one set."""
    train = (found.split == "train") | (found.split == "background")
    features = FrozenFeatures(
        options.model, weights=options.weights, image_size=options.image_size, cache=options.cache
    )
    rows = features.fit_transform(found.data)
    if name == "lfw":
        run_faces(found, rows)
        return
    learner = MetricLearner(random_state=0).fit(rows[train], found.target[train])
    if name == "omniglot":
        if found.runs is None:
            print("  no all_runs: the one-shot tasks are passed over")
            return
        for title, last in [("frozen features, cosine", Normalizer()), ("MetricLearner() on them", learner)]:
            share = accuracy_of_runs(make_pipeline(features, last).transform, found.runs)
            print(f"  {title:54}{100 * share:8.2f}  one-shot accuracy", flush=True)
        return
    row("frozen features, cosine", scores_of(Normalizer().transform(rows), found))
    row("MetricLearner() on them", scores_of(learner.transform(rows), found))
    if options.linear_only:
        return
    embeddings = [network.transform(found.data) for network in networks(found, options)]
    each = [scores_of(part, found) for part in embeddings]
    row("fine-tuned, separated", {score: np.mean([r[score] for r in each]) for score in SCORES})
    row("fine-tuned, concatenated", scores_of(np.hstack(embeddings), found))


def run_faces(found, rows):
    """LFW's pairs, by cosine, and by a linear learner of people who are in no pair of the fold."""
    units = Normalizer().transform(rows)
    first, second = found.pairs.T
    mean, error = accuracy_of_folds(
        np.linalg.norm(units[first] - units[second], axis=1), found.y_pairs, found.fold
    )
    print(f"  {'frozen features, cosine':54}{100 * mean:8.2f} ± {100 * error:.2f}  accuracy over folds")
    distances = np.empty(len(found.pairs))
    for held_out in np.unique(found.fold):
        tested = found.fold == held_out
        people = found.target[found.pairs[tested].ravel()]
        train = np.isin(found.target, found.target[found.pairs[~tested].ravel()])
        train &= ~np.isin(found.target, people)
        learner = MetricLearner(random_state=0).fit(rows[train], found.target[train])
        distances[tested] = learner.pair_distance(rows[first[tested]], rows[second[tested]])
    mean, error = accuracy_of_folds(distances, found.y_pairs, found.fold)
    print(f"  {'MetricLearner() of the people of the other folds':54}{100 * mean:8.2f} ± {100 * error:.2f}")


def parser():
    """Options of the command."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, required=True, help="folder with a folder for each set")
    made.add_argument("--sets", nargs="+", default=list(READERS), choices=list(READERS), metavar="NAME")
    made.add_argument("--model", default="resnet50.tv_in1k", help="name of a network in timm")
    made.add_argument("--weights", default="pretrained", help="file of weights, in place of timm's")
    made.add_argument("--image-size", type=int, default=None)
    made.add_argument("--loss", default="contrastive")
    made.add_argument("--learning-rate", type=float, default=1e-6)
    made.add_argument("--steps", type=int, default=None, help="steps in an epoch")
    made.add_argument("--epochs", type=int, default=100, help="at most")
    made.add_argument("--patience", type=int, default=9)
    made.add_argument("--cache", default=None, help="folder that keeps frozen features")
    made.add_argument("--linear-only", action="store_true", help="no fine-tuning")
    return made


def main():
    """Print a table a set."""
    command = parser()
    options = command.parse_args()
    names = [name for name in options.sets if (options.data / name).is_dir()]
    if not names:
        command.error(f"{options.data} has none of the folders {', '.join(options.sets)}")
    print(f"{options.model}; percent\n  {'':54}{''.join(f'{title:>8}' for title in SCORES.values())}")
    for name in names:
        found = READERS[name](options.data / name)
        print("\n" + found.DESCR.strip())
        run_set(name, found, options)
        if name in PUBLISHED:
            title, share = PUBLISHED[name]
            row(f"published: {title}", {"recall_at_1": share / 100})


if __name__ == "__main__":
    main()
