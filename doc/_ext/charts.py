"""``.. finding:: open_set``: the sentence that matters of a benchmark and its chart, from what was recorded.

``python doc/draw.py`` draws the pictures of the README from the same functions.
"""

from pathlib import Path

import readings
from docutils import nodes
from docutils.parsers.rst import Directive

_DOC = Path(__file__).parents[1]
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8c8c8c"
WIDTH = 5.2  # inches: letters can still be read where a phone shrinks it
NICE = {
    "banking77": "intents (banking77)",
    "caltech101_features": "objects (Caltech-101)",
    "cifar10_features": "small photographs (CIFAR-10)",
    "grocery_features": "groceries",
    "lfw_faces_features": "faces (LFW)",
    "lfw_faces": "faces (LFW)",
    "orl_faces_features": "faces (ORL)",
    "orl_faces": "faces (ORL)",
    "omniglot": "characters (Omniglot)",
}


def bars(values, labels, title, xlabel):
    """Horizontal bars: `values` is {set: (value of each label, or None)}; hatches tell what colours tell."""
    from matplotlib.figure import Figure

    names = list(values)
    figure = Figure(figsize=(WIDTH, 0.9 + 0.24 * len(names) * (1 + len(labels))), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(labels)
    for i, (label, color, hatch) in enumerate(
        zip(labels, (GREY, BLUE, ORANGE), ("", "//", ".."), strict=False)
    ):
        places = [-j + (len(labels) / 2 - i - 0.5) * height for j in range(len(names))]
        numbers = [values[name][i] for name in names]
        lengths = [number or 0 for number in numbers]
        drawn = axes.barh(places, lengths, height, label=label, color=color, hatch=hatch, edgecolor="white")
        texts = ["not run" if number is None else f"{number:.2f}" for number in numbers]
        axes.bar_label(drawn, texts, padding=3, fontsize="small")
    axes.set_yticks([-j for j in range(len(names))], [NICE.get(name, name) for name in names])
    axes.set(xlim=(0, 1.1 * max(number or 0 for row in values.values() for number in row)), xlabel=xlabel)
    figure.suptitle(title, fontsize="medium", x=0.01, ha="left")
    figure.legend(loc="outside lower left", ncols=len(labels), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def quality(text):
    """Cosine and the linear default, a bar each."""
    rows = readings.quality(text)
    values = {name: (row["cosine"], row["MetricLearner()"]) for name, row in rows.items()}
    return bars(values, ("cosine", "MetricLearner()"), "Classes never trained on", "MAP@R")


def which_loss(text):
    """Untrained, the closed form, the best loss."""
    values = {}
    for name, row in readings.losses(text).items():
        others = {k: v for k, v in row.items() if k not in ("cosine, untrained", "MetricLearner()")}
        # None: the closed form was not run on images
        values[name] = (row["cosine, untrained"], row.get("MetricLearner()"), max(others.values()))
    labels = ("cosine, untrained", "MetricLearner()", "best of the losses")
    return bars(values, labels, "Classes never trained on", "MAP@R")


def open_set(text):
    """Strangers accepted by both protocols."""
    values = {name: (row["closed"][1], row["open"][1]) for name, row in readings.open_set(text).items()}
    return bars(values, ("closed protocol", "open protocol"), "Strangers accepted: less is better", "share")


def reranking(text):
    """Plain search and two options."""
    values = {n: (row["none"], row["k-reciprocal"]) for n, row in readings.reranking(text).items()}
    return bars(values, ("plain", "k-reciprocal"), "Classes never trained on", "MAP@R")


def how_many(text):
    """MAP@R over the number of classes, one panel for each set."""
    from matplotlib.figure import Figure

    found = readings.how_many(text)
    figure = Figure(figsize=(WIDTH, 0.4 + 2.5 * len(found)), layout="constrained")
    for axes, (name, rows) in zip(
        figure.subplots(len(found), squeeze=False)[:, 0], found.items(), strict=True
    ):
        axes.axhline(rows[0][3], color=GREY, linestyle=":", label="cosine, untrained")
        styles = (("MetricLearner", BLUE, "o-"), ("DeepMetricLearner", ORANGE, "s--"))
        for method, color, style in styles:
            own = [row for row in rows if row[0] == method]
            most = max((row[2] for row in own), default=0)
            curve = sorted((row[1], row[3]) for row in own if row[2] == most)
            if curve:
                axes.plot(*zip(*curve, strict=True), style, color=color, label=method)
        highest = max(row[3] for row in rows)
        axes.set(xscale="log", title=name, ylabel="MAP@R of unseen classes", ylim=(0, 1.1 * highest))
        ticks = sorted({row[1] for row in rows[1:]})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[-1].set_xlabel("training classes")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


CHARTS = {
    "metric_learner_quality": quality,
    "which_loss": which_loss,
    "open_set": open_set,
    "reranking": reranking,
    "how_many": how_many,
}


class Finding(Directive):
    """The sentence, then the chart."""

    required_arguments = 1

    def run(self):
        """Make the nodes."""
        name = self.arguments[0]
        env = self.state.document.settings.env
        env.note_dependency(str(readings.MEASURED / f"{name}.txt"))
        if not (readings.MEASURED / f"{name}.txt").is_file():
            return []
        made = []
        if sentence := readings.sentence(name):
            made.append(nodes.paragraph("", "", nodes.strong(sentence, sentence)))
        if name in CHARTS:
            folder = Path(env.app.srcdir) / "generated" / "pictures"
            folder.mkdir(parents=True, exist_ok=True)
            figure = CHARTS[name](readings.text_of(name))
            figure.savefig(folder / f"chart-{name}.png", dpi=144)
            alt = f"Chart of the table below. {sentence or ''}"
            width = f"{figure.get_figwidth() * 96:.0f}px"
            made.append(nodes.image("", uri=f"/generated/pictures/chart-{name}.png", alt=alt, width=width))
        return made


def setup(app):
    """Register the directive."""
    app.add_directive("finding", Finding)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
