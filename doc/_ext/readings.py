"""What recorded benchmarks say in a sentence, and the numbers of charts, read from ``doc/measured``."""

import re
from pathlib import Path

MEASURED = Path(__file__).parents[1] / "measured"
_SCORE = r"(\d\.\d+)"
_INTERVAL = rf"{_SCORE} \[{_SCORE}, {_SCORE}\]"


def text_of(name):
    """What was recorded."""
    return (MEASURED / f"{name}.txt").read_text("utf-8")


def quality(text):
    """MAP@R of each set, mean of its splits: {set: {method: score}}."""
    found, current = {}, None
    for line in text.splitlines():
        if head := re.match(r"(\w+), [\w ]+: \d+ x \d+", line):
            current = found.setdefault(head[1], {})
        elif (row := re.match(rf"  (\S.*?)\s+{_INTERVAL}", line)) and current is not None:
            current.setdefault(row[1], []).append(float(row[2]))
    return {name: {key: sum(v) / len(v) for key, v in rows.items()} for name, rows in found.items()}


def intervals_of_losses(text):
    """MAP@R of each set with its interval: {set: {loss: (score, low, high)}}."""
    found, current = {}, None
    for line in text.splitlines():
        if head := re.match(r"(\w+), \w+, seed 0: ", line):
            current = found.setdefault(head[1], {})
        elif re.match(r"\w+, ", line):
            current = None  # another seed
        elif (row := re.match(rf"  (\S.*?)\s\s+{_INTERVAL}", line)) and current is not None:
            current[row[1]] = tuple(float(row[i]) for i in (2, 3, 4))
    return found


def losses(text):
    """MAP@R of each set: {set: {loss: score}}."""
    return {
        name: {loss: score for loss, (score, _, _) in rows.items()}
        for name, rows in intervals_of_losses(text).items()
    }


def open_set(text):
    """Known identified and strangers accepted: {set: {"closed": (a, b), "open": (a, b)}}."""
    pattern = rf"(?m)^(\w+) +{_SCORE} / {_SCORE} = {_SCORE} {_SCORE} / {_SCORE} = "
    return {
        row[1]: {"closed": (float(row[2]), float(row[3])), "open": (float(row[5]), float(row[6]))}
        for row in re.finditer(pattern, text)
    }


def reranking(text):
    """MAP@R of each set: {set: {option: score}}."""
    found, current = {}, None
    for line in text.splitlines():
        if head := re.match(r"(\w+): \d+ queries", line):
            current = found.setdefault(head[1], {})
        elif (row := re.match(rf"    (\S.*?)\s\s+MAP@R {_SCORE}", line)) and current is not None:
            current[row[1]] = float(row[2])
    return found


def how_many(text):
    """Rows of each set: (method, classes, images, MAP@R, recall@1, seconds); cosine has no counts."""
    found, current = {}, None
    for line in text.splitlines():
        if head := re.match(r"(\w.*), [^,]+: \d+ of \d+ classes are scored", line):
            current = found.setdefault(head[1], [])
        elif row := re.match(rf"(\w+) +(\d+|-) +(\d+|-) +{_SCORE} +{_SCORE}(?: +(\d+\.\d+))?", line):
            counts = [None if cell == "-" else int(cell) for cell in (row[2], row[3])]
            current.append((row[1], *counts, float(row[4]), float(row[5]), float(row[6] or 0)))
    return found


def gain(rows):
    """Relative gain of the linear default over cosine."""
    return rows["MetricLearner()"] / rows["cosine"] - 1


# The sentence that matters of each benchmark


def _of_quality(text):
    gains = sorted(gain(rows) for rows in quality(text).values())
    ahead = sum(one > 0 for one in gains)
    deeper = [rows["DeepMetricLearner()"] / rows["MetricLearner()"] - 1 for rows in quality(text).values()]
    return (
        f"On classes never trained on, MetricLearner() has more MAP@R than cosine on {ahead} of {len(gains)} "
        f"sets, by {min(gains):.0%} to {max(gains):.0%}. DeepMetricLearner() differs from it by "
        f"{min(deeper):+.1%} to {max(deeper):+.1%}."
    )


def _of_losses(text):
    found, start = intervals_of_losses(text), ("cosine, untrained", "MetricLearner()")
    trained = [
        name
        for name, rows in found.items()
        if max(low for loss, (_, low, _) in rows.items() if loss not in start)
        > max(high for loss, (_, _, high) in rows.items() if loss in start)
    ]
    return (
        "The interval of a loss lies above those of the untrained features and of MetricLearner() on "
        f"{len(trained)} of {len(found)} sets{': ' + ', '.join(trained) if trained else ''}. On frozen "
        "features, start from the closed form."
    )


def _of_open_set(text):
    found = open_set(text)
    closed = [rows["closed"][1] for rows in found.values()]
    opened = [rows["open"][1] for rows in found.values()]
    return (
        f"The usual calibration accepts {min(closed):.0%} to {max(closed):.0%} of the strangers, the open "
        f"protocol {min(opened):.0%} to {max(opened):.0%}."
    )


def _of_reranking(text):
    changes = {name: rows["k-reciprocal"] / rows["none"] - 1 for name, rows in reranking(text).items()}
    better, worse = [n for n, c in changes.items() if c > 0], [n for n, c in changes.items() if c <= 0]
    return (
        f"k-reciprocal re-ranking gains MAP@R on {len(better)} of {len(changes)} sets (up to "
        f"{max(changes.values()):+.0%})"
        + (f" and loses on {', '.join(worse)}, which has few items a class." if worse else ".")
    )


def _of_how_many(text):
    parts = []
    for name, rows in how_many(text).items():
        reached = [f"cosine {rows[0][3]:.2f}"]
        for method in dict.fromkeys(row[0] for row in rows[1:]):
            own = [row for row in rows if row[0] == method]
            fewest = min(own, key=lambda row: (row[1], -row[2]))
            best = max(own, key=lambda row: row[3])
            reached.append(
                f"{method} {fewest[3]:.2f} with {fewest[1]} classes and {best[3]:.2f} with {best[1]}"
            )
        parts.append(f"MAP@R on {name}: {', '.join(reached)}")
    return "; ".join(parts) + "."


def _of_indexes(text):
    recall = {row[1]: float(row[2]) for row in re.finditer(rf"(?m)^(\w[\w,]*) +{_SCORE} ", text)}
    name = max((name for name in recall if name != "exact"), key=recall.get)
    return f"The graph index {name} finds {recall[name]:.1%} of the ten nearest items, at the speed of FAISS."


def _of_search(text):
    ratios = [float(ratio) for ratio in re.findall(r"ratio +(\d+\.\d+)", text)]
    return (
        f"Exact search, calibration and lookups take {min(ratios):.2f} to {max(ratios):.2f} times as long as "
        "the peers in their rows."
    )


def _of_deep_epoch(text):
    row = re.search(r"(?m)^fit +\S+ +(\d+\.\d+)", text)
    return f"An epoch of fit takes {float(row[1]):.2f} times a bare torch loop on the same batches."


def _of_features(text):
    shares = [float(row) for row in re.findall(r"(?m)^(?:JPEGs|array).* (\d+\.\d+)$", text)]
    return (
        f"FrozenFeatures runs at {min(shares):.0%} to {max(shares):.0%} of the speed of the bare network, "
        "decoding included."
    )


def _of_cifar(text):
    found = dict(re.findall(rf"(?m)^(raw pixels|network):.*\n  among each other +recall@1 {_SCORE}", text))
    return (
        f"Recall@1 on the test images: {float(found['network']):.2f} after a few minutes of training, "
        f"{float(found['raw pixels']):.2f} for pixels."
    )


def _of_omniglot(text):
    found = dict(re.findall(r"(?m)^(raw pixels|network|network, mean of \d+ views) +(\d+\.\d+)%", text))
    views = next(name for name in found if "views" in name)
    return (
        f"One-shot accuracy among twenty characters: {found['network']} % with the network, {found[views]} % "
        f"with the {views.partition(', ')[2]} of each image, {found['raw pixels']} % for pixels."
    )


SENTENCES = {
    "metric_learner_quality": _of_quality,
    "which_loss": _of_losses,
    "open_set": _of_open_set,
    "reranking": _of_reranking,
    "how_many": _of_how_many,
    "indexes": _of_indexes,
    "search": _of_search,
    "deep_epoch": _of_deep_epoch,
    "features_throughput": _of_features,
    "cifar10_tutorial": _of_cifar,
    "omniglot_one_shot": _of_omniglot,
}


def sentence(name):
    """The sentence of a benchmark, or None."""
    return SENTENCES[name](text_of(name)) if name in SENTENCES else None
