"""Files that lie, processes that are killed, input that attacks: how this package ends, beside its peers.

    python benchmarks/trust.py [--flips 500] [--kills 100] [--inputs 1000] [--cycles 10000] [--part PART]

Cases run in forks of this process with limits of memory and time: a case that ends its fork is a crash.

- flips: one bit of one file is flipped; the file is loaded, and its model answers the same samples.
- kills: a process writes one model and another over the same path, and is killed at a random moment; what is
  left is loaded.
- fits: a fit with a checkpoint is killed again and again, and goes on until it ends.
- images: bytes of images are changed, cut and joined; an error must name the file.
- names: labels, ids, metadata and filters of all that Unicode has; an error must name the parameter.
- cycles: one item with a new label is enrolled and removed, again and again; memory and a folder after a
  fifth of the cycles, and after all.
- code: models made to run a command when they are loaded.

`--part NAME` prints one of these tables alone, with the same numbers.

POSIX alone. Peers that are not installed are left out.
"""

import argparse
import io as streams
import os
import pickle
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import joblib
import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from sklearn.base import clone

from skmetric import DeepMetricLearner, MetricLearner, SimilaritySearch, io
from skmetric.datasets import check_images
from skmetric.deep import Checkpoint
from skmetric.search import ExactIndex, FaissIndex

SECONDS, MEMORY = 20, 4 << 30  # of a case; memory beyond that of this process
RNG = np.random.default_rng(0)
X = (RNG.normal(size=(64, 16)) + 4 * np.eye(16)[np.arange(64) % 8]).astype(np.float32)
Y = np.array([f"class {code}" for code in np.arange(64) % 8])
NAME = "kept-7f3a"  # of a file, as no error says it by chance
FIT = {"n_components": 4, "random_state": 0, "device": "cpu", "loss": "proxy_anchor"}  # with a checkpoint
SHOWN = {  # outcome: the head of its column
    "named": "named", "other error": "other", "crash": "crash", "wrong, silent": "silent",
    "same answer": "same",
}  # fmt: skip
OUTCOMES = tuple(SHOWN)


# Formats: how to write a model, and what it answers once it is read


class Format:
    """One way to keep a model in a file or folder."""

    def __init__(self, name, models, save, load, answer):
        self.name, self.models, self.save, self.load, self.answer = name, models, save, load, answer

    def answer_of(self, path):
        """What a model from a file answers, as bytes."""
        return np.asarray(self.answer(self.load(path))).tobytes()


def formats():
    """Formats of this package, and those of peers that are installed; each has two models."""
    linear = [MetricLearner((0.5, share)).fit(X, Y) for share in (0.5, 1)]
    settings = {"n_components": 4, "max_epochs": 1, "device": "cpu", "validation_fraction": None}
    deep = [DeepMetricLearner("mlp", random_state=seed, **settings).fit(X, Y) for seed in (0, 1)]
    searches = [SimilaritySearch(learner).fit(X, Y, metadata={"shop": list(Y)}) for learner in linear]
    states = [learner.module_.state_dict() for learner in deep]
    embed, arrays = (
        (lambda model: model.transform(X)),
        [{"components": model.components_} for model in linear],
    )
    verified = partial(io.load, verify=True)
    made = [
        Format("skmetric.io, linear learner", linear, io.save, verified, embed),
        Format("skmetric.io, network", deep, io.save, verified, embed),
        Format("skmetric.io, search", searches, io.save, verified, lambda model: model.kneighbors(X)[1]),
        Format("joblib", linear, joblib.dump, joblib.load, embed),
        Format(
            "torch.save, weights_only", states, torch.save, partial(torch.load, weights_only=True), joined
        ),
        Format("safetensors", arrays, save_file, load_file, lambda found: found["components"]),
    ]
    try:
        from skops import io as skops

        made.append(Format("skops", linear, skops.dump, trusted_by_skops, embed))
    except ImportError:
        pass
    try:
        import faiss
    except ImportError:
        return made
    indexes = [faiss.IndexFlatL2(learner.n_components_) for learner in linear]
    for index, learner in zip(indexes, linear, strict=True):
        index.add(learner.transform(X))
    write = lambda index, path: faiss.write_index(index, str(path))  # noqa: E731
    read = lambda path: faiss.read_index(str(path))  # noqa: E731
    return [*made, Format("FAISS", indexes, write, read, lambda index: index.search(X[:, : index.d], 3)[0])]


def checkpoints():
    """The folder of a fit that has ended, as a format: the same fit reads it and gives its embeddings."""
    learner = DeepMetricLearner("mlp", **FIT | {"max_epochs": 2})

    def fit(learner, path):
        return clone(learner).set_params(checkpoint=path).fit(X, Y)

    return Format(
        "skmetric, checkpoint", [learner], fit, partial(fit, learner), lambda model: model.transform(X)
    )


def joined(state):
    """All tensors of a state as one array."""
    return np.concatenate([tensor.numpy().ravel() for tensor in state.values()])


def trusted_by_skops(path):
    """Load what has no other types than the model that was written."""
    from skops import io as skops

    return skops.load(path, trusted=["skmetric.linear.MetricLearner", "skmetric.linear.ClassScatter"])


# Running a case


def apart(cases, seconds=SECONDS):
    """Count what `cases` return in forks, each one of OUTCOMES; after a crash a new fork goes on."""
    counts, cases = Counter(), list(cases)
    while cases:
        told = list(told_by_a_fork(cases, seconds))
        counts.update(told)
        cases = cases[len(told) :]
        if cases:
            counts["crash"] += 1
            del cases[0]
    return counts


def told_by_a_fork(cases, seconds):
    """Yield what cases return, one after the other, until the fork ends."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        quiet()
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        for case in cases:
            signal.alarm(seconds)
            os.write(writing, bytes([OUTCOMES.index(case())]))
        os._exit(0)
    os.close(writing)
    while told := os.read(reading, 1):
        yield OUTCOMES[told[0]]
    os.close(reading)
    os.waitpid(child, 0)


def quiet():
    """Let a fork print nothing: damaged files make libraries talk."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    warnings.simplefilter("ignore")


def outcome_of(read, expected, names):
    """How reading ends: an error counts as named if its text has one of `names`."""
    try:
        found = read()
    except Exception as error:
        return "named" if any(name in str(error) for name in names) else "other error"
    return "same answer" if found in expected else "wrong, silent"


# Flips


def flips(form, n_cases, rng):
    """Flip one bit of a file of a saved model; count the outcomes."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, NAME)
        form.save(form.models[0], path)
        files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
        expected, whole = {form.answer_of(path)}, {file: file.read_bytes() for file in sorted(files)}
        places = [(rng.choice(list(whole)), rng.random()) for _ in range(n_cases)]
        return apart([partial(flipped, form, path, whole, file, share, expected) for file, share in places])


def flipped(form, path, whole, file, share, expected):
    """Outcome of a model whose file has one other bit, at a share of its length."""
    damaged, place = bytearray(whole[file]), int(share * 8 * len(whole[file]))
    damaged[place // 8] ^= 1 << place % 8
    for name, content in whole.items():  # the case before may have ended in a crash
        name.write_bytes(damaged if name == file else content)
    return outcome_of(partial(form.answer_of, path), expected, [NAME])


# Kills


def kills(form, n_cases, rng):
    """Kill a process that saves two models in turn; count what is left: "same answer" is one of the two."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, NAME)
        expected = set()
        for model in form.models:
            form.save(model, path)
            expected.add(form.answer_of(path))
        counts = Counter()
        for _ in range(n_cases):
            killed(partial(save_in_turn, form, path), rng.uniform(0.002, 0.05))
            counts += apart([partial(outcome_of, partial(form.answer_of, path), expected, [NAME])])
            if not path.is_dir():  # what is left of a file would be found again by the next case
                form.save(form.models[0], path)
    return counts


def save_in_turn(form, path):
    """Save for ever."""
    while True:
        for model in form.models:
            form.save(model, path)


def killed(work, seconds):
    """Run `work` in a fork, and kill it after some time; whether it was still running."""
    child = os.fork()
    if child == 0:
        quiet()
        work()
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def killed_fits(n_cases, rng, every_n_steps=None):
    """Kill fits with a checkpoint; each that ends must have the bits of an unbroken one."""
    lengths = {
        "max_epochs": 12 if every_n_steps is None else 3,
        "steps_per_epoch": 1 if every_n_steps is None else 8,
    }
    settings = FIT | lengths
    unbroken = DeepMetricLearner("mlp", **settings).fit(X, Y).transform(X).tobytes()
    counts, n_killed = Counter(), 0
    while n_killed < n_cases:
        with tempfile.TemporaryDirectory() as place:
            checkpoint = Checkpoint(Path(place, "model"), every_n_steps=every_n_steps)
            learner = DeepMetricLearner("mlp", checkpoint=checkpoint, **settings)
            fit, n_before = partial(learner.fit, X, Y), n_killed
            while n_killed < n_cases and killed(fit, rng.uniform(0.02, 0.3)):
                n_killed += 1
            (outcome,) = apart([partial(ending_of, learner, unbroken)], 60)
            counts[outcome] += n_killed - n_before
    return counts


def ending_of(learner, unbroken):
    """Outcome of a fit that goes on from its folder."""
    return outcome_of(lambda: learner.fit(X, Y).transform(X).tobytes(), {unbroken}, [])


# Inputs


def images(n_cases, rng, *, by_pillow=False):
    """Change, cut and join bytes of images; "named" is an error that names the file."""
    pixels = RNG.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    sound = {}
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"):
        stream = streams.BytesIO()
        Image.fromarray(pixels).save(stream, kind)
        sound[kind] = stream.getvalue()
    read = pillow_reads if by_pillow else package_reads
    cases = []
    with tempfile.TemporaryDirectory() as place:
        for number in range(n_cases):
            kind = rng.choice(sorted(sound))
            path = Path(place, f"{number}.{kind.lower()}")
            path.write_bytes(mutated(sound[kind], sound[rng.choice(sorted(sound))], rng))
            cases.append(partial(read, path))
        return apart(cases)


def mutated(data, other, rng):
    """Some bytes changed, the end cut off, a piece of another file put in, or all of this."""
    data = bytearray(data)
    for _ in range(rng.randrange(4)):
        data[rng.randrange(min(len(data), 200))] = rng.randrange(256)
    if rng.random() < 0.3:
        del data[rng.randrange(1, len(data)) :]
    if rng.random() < 0.2:
        start = rng.randrange(len(data))
        data[start:start] = other[: rng.randrange(len(other))]
    return bytes(data)


def package_reads(path):
    """Outcome of `check_images`: read, or left out with a reason that names the file."""
    try:
        left_out = check_images([path], n_jobs=1).left_out
    except Exception:
        return "other error"
    return "same answer" if not left_out else "named" if path.name in left_out[0].reason else "other error"


def pillow_reads(path):
    """Outcome of Pillow's own calls."""
    try:
        with Image.open(path) as image:
            image.convert("RGB")
    except Exception as error:
        return "named" if path.name in str(error) else "other error"
    return "same answer"


def names(n_cases, rng):
    """Labels, ids and metadata of any text, enrolled, saved and loaded; "same answer": they come back."""
    return apart([partial(name_goes_round, text_of(rng), rng.choice(list(NAMED))) for _ in range(n_cases)])


NAMED = {  # where a text goes: what an error has to say about it
    "label": "y has text",
    "id": "id",
    "metadata": "metadata 'shop'",
    "column": "column ",
    "filter": "'shop'",
}
ALPHABETS = (
    "abc",
    "\0\x01\x7f",
    "\ud800\udfff",
    "<script>&\"'",
    "../\\",
    "\u202e\u200b\ufeff",
    "é😀漢",
    "{}%$`;",
)


def text_of(rng):
    """A text of up to 40 characters of some of these, or a very long one."""
    chosen = "".join(rng.sample(ALPHABETS, rng.randrange(1, 4)))
    length = rng.choice([0, 1, 3, 10, 40, 100_000])
    return "".join(rng.choice(chosen) for _ in range(length))


def name_goes_round(text, where):
    """Outcome of one name in one place."""
    labels, ids, column, values = ["a", "b"], ["1", "2"], "shop", ["x", "y"]
    if where == "label":
        labels[0] = text
    elif where == "id":
        ids[0] = text
    elif where == "column":
        column = text
    elif where == "metadata":
        values[0] = text
    try:
        search = SimilaritySearch().fit([[0.0], [1.0]], labels, ids=ids, metadata={column: values})
        with tempfile.TemporaryDirectory() as place:
            io.save(search, place)
            search = io.load(place, verify=True)
        asked = {"shop": text} if where == "filter" else None
        found = search.lookup([[0.0]], 1, where=asked)
        came = {"label": search.labels_, "id": search.ids_}.get(where, found[column])
    except (ValueError, TypeError) as error:
        return "named" if NAMED[where] in str(error) and len(str(error)) < 1000 else "other error"
    except Exception:
        return "other error"
    expected = {"column": ["x"], "filter": [value for value in values if value == text]}.get(where, [text])
    return "same answer" if list(came[:1]) == expected else "wrong, silent"


# Code


class Payload:
    """What leaves a mark when it is loaded."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def code_that_runs():
    """Whether a model made to run code did: by format."""
    ran = {}
    for name, save, load in (
        ("joblib", joblib.dump, joblib.load),
        (
            "pickle",
            lambda obj, path: path.write_bytes(pickle.dumps(obj)),
            lambda p: pickle.loads(p.read_bytes()),
        ),
        ("torch.load, weights_only=False", torch.save, partial(torch.load, weights_only=False)),
        ("torch.load", torch.save, torch.load),
        ("skmetric.io", of_any_class, io.load),
    ):
        with tempfile.TemporaryDirectory() as place:
            mark = Path(place, "ran")
            save(Payload(str(mark)), Path(place, "model"))
            apart([partial(outcome_of, partial(load, Path(place, "model")), (), [])])
            ran[name] = mark.exists()
    return ran


def of_any_class(payload, path):
    """A folder of ours whose manifest names a function in the place of a class, with digests that fit."""
    from skmetric._folder._folder import write_folder
    from skmetric.io._save import KIND

    call = {"partial": {"class": "os.mkdir"}, "args": {"tuple": [payload.mark]}, "keywords": {"dict": []}}
    state = {"loss": call, "mean_": {"estimator": "os.mkdir", "state": {"path": payload.mark}}}
    write_folder(path, KIND, {"model": {"estimator": "skmetric.linear.MetricLearner", "state": state}}, {})


# Cycles


def cycles(index, n_cycles):
    """Enrol and remove items with new labels; bytes of memory and of a folder, early and at the end."""
    search = SimilaritySearch(index=index).fit(X, Y, ids=[f"item {i}" for i in range(len(X))])
    sizes = []
    with tempfile.TemporaryDirectory() as place:
        for cycle in range(1, n_cycles + 1):
            search.partial_fit(X[:1], [f"one {cycle:9}"], ids=[f"new {cycle:9}"])
            search.remove([f"new {cycle:9}"])
            if cycle in (n_cycles // 5, n_cycles):
                search.save(place)
                folder = sum(file.stat().st_size for file in Path(place).rglob("*") if file.is_file())
                sizes.append((memory(), folder))
    return sizes


def memory():
    """Bytes in memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


# Tables


def show(title, rows):
    """Print counts of outcomes, a row a case."""
    print(f"\n{title:38}{'cases':>6}{''.join(f'{word:>8}' for word in SHOWN.values())}")
    for name, counts in rows:
        cells = "".join(f"{counts[outcome]:8}" for outcome in SHOWN)
        print(f"  {name:36}{sum(counts.values()):6}{cells}", flush=True)


def show_flips(options, rng):
    """Print what becomes of flipped bits."""
    made = [*formats_of(options), checkpoints()]
    show("One bit flipped", ((form.name, flips(form, options.flips, rng)) for form in made))


def show_kills(options, rng):
    """Print what becomes of saves that are killed."""
    made = formats_of(options)
    show(
        "Killed while saving over an old model",
        ((form.name, kills(form, options.kills, rng)) for form in made),
    )


def show_fits(options, rng):
    """Print what becomes of fits that are killed."""
    kinds = (("skmetric, every epoch", None), ("skmetric, every step", 1))
    show("Killed while fitting", ((name, killed_fits(options.kills, rng, every)) for name, every in kinds))


def show_images(options, rng):
    """Print what becomes of images with changed bytes."""
    readers = [("skmetric", False)] if options.ours else [("skmetric", False), ("Pillow alone", True)]
    rows = ((name, images(options.inputs, rng, by_pillow=alone)) for name, alone in readers)
    show("Images with changed bytes", rows)


def show_names(options, rng):
    """Print what becomes of names."""
    show("Names of any text", [("skmetric", names(options.inputs, rng))])


def show_code(options, rng):
    """Print which formats run code."""
    print("\nCode in a model, run when it is loaded")
    for name, ran in code_that_runs().items():
        print(f"  {name:36}{'runs' if ran else 'does not run'}")


def show_cycles(options, rng):
    """Print what cycles of enrolling and removing leave."""
    print(f"\n{options.cycles:,} items enrolled and removed{'memory, MB':>24}{'folder, KB':>18}")
    indexes = [ExactIndex()]
    if find_spec("faiss") is not None:
        indexes += [FaissIndex(factory) for factory in ("Flat", "HNSW16", "IVF4,Flat")]
    for index in indexes:
        (before, early), (after, late) = cycles(index, options.cycles)
        name = getattr(index, "factory", "") or "exact"
        print(
            f"  {name:36}{before / 1e6:8.0f} {after / 1e6:8.0f}{early / 1e3:9.1f} {late / 1e3:8.1f}",
            flush=True,
        )


PARTS = {
    "flips": show_flips,
    "kills": show_kills,
    "fits": show_fits,
    "images": show_images,
    "names": show_names,
    "cycles": show_cycles,
    "code": show_code,
}


def formats_of(options):
    """Formats that are asked for."""
    return [form for form in formats() if form.name.startswith("skmetric") or not options.ours]


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flips", type=int, default=500, help="of each format")
    parser.add_argument("--kills", type=int, default=100, help="of each format")
    parser.add_argument("--inputs", type=int, default=1000, help="images, and names")
    parser.add_argument("--cycles", type=int, default=10_000, help="of each index")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ours", action="store_true", help="this package alone")
    parser.add_argument("--part", choices=list(PARTS), help="one table alone")
    options = parser.parse_args()
    if not hasattr(os, "fork") or shutil.which("true") is None or sys.platform != "linux":
        parser.error("this needs fork and /proc, as Linux has them")
    torch.set_num_threads(1)
    if options.part in (None, "flips"):
        print("named: an error that names the file, the row or the parameter; other: another error;")
        print("silent: a wrong answer without an error; same: the right answer")
    for name, part in PARTS.items():
        if options.part in (None, name):
            part(options, random.Random(f"{options.seed} {name}"))


if __name__ == "__main__":
    main()
