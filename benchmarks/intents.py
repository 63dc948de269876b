"""A text encoder trained end to end against its frozen features with `MetricLearner`, on unseen intents.

    python benchmarks/intents.py [--data DIR] [--seeds SEED ...] [--model DIR] [--whole] [--epochs N]

DIR of `--data` holds `load.py` and `banking77.npz`: messages to a bank, and their embeddings by
all-MiniLM-L6-v2. Learners are fitted on half of the intents and scored on the other half, each message
searched among the others. Encoders are trained by `DeepMetricLearner` with its defaults, which hold out some
of the training intents to choose the number of epochs; 0 keeps the encoder as it was. Words have vectors that

- start at random: their frozen features are counts of words, TF-IDF and a singular value decomposition;
- with `--model`, the folder of a sentence-transformers model, start at the vectors of tokens of that model:
  their frozen features are the means of these vectors. `--whole` trains the whole model as well, which takes
  a GPU, or hours.
"""

import argparse
import importlib.util
import re
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import Normalizer
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from skmetric import DeepMetricLearner, MetricLearner
from skmetric.metrics import map_at_r, recall_at_k

SHARED = Path(__file__).parents[1] / "../shared/data"
WIDTH = 256  # of vectors that start at random, and of the decomposition


class Words(nn.Module):
    """Mean of the vectors of words, and a residual map."""

    def __init__(self, vectors):
        super().__init__()
        self.vectors = nn.Embedding.from_pretrained(vectors.clone(), freeze=False, padding_idx=0)
        width = vectors.shape[1]
        self.map = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        nn.init.zeros_(self.map[2].weight)  # it starts as the mean
        nn.init.zeros_(self.map[2].bias)

    def forward(self, batch):
        """Embed padded numbers of tokens, (n_batch, longest)."""
        known = (batch > 0).unsqueeze(2)  # (n_batch, longest, 1)
        mean = (self.vectors(batch) * known).sum(1) / known.sum(1).clamp_min(1)
        return mean + self.map(mean)


class Tokens:
    """Texts as padded numbers of tokens, 0 where there is none."""

    def __init__(self, split, texts):
        self.split = split
        self.number = {t: 1 + i for i, t in enumerate(sorted({t for text in texts for t in split(text)}))}

    def __call__(self, texts):
        """Pad the numbers of the tokens of texts."""
        rows = [torch.tensor([self.number.get(t, 0) for t in self.split(text)] or [0]) for text in texts]
        return pad_sequence(rows, batch_first=True)


def halves(y, seeds):
    """Yield a name and which rows are trained on: the first half of the classes, then random halves."""
    classes = np.unique(y)
    yield "first", y < classes[len(classes) // 2]
    for seed in seeds:
        drawn = np.random.default_rng(seed).permutation(classes)[: len(classes) // 2]
        yield f"seed {seed}", np.isin(y, drawn)


def words(text):
    """Words of a message."""
    return re.findall(r"[a-z]+|\d+", text.lower())


def random_vectors():
    """Make what gives each word a vector at random."""
    generator = torch.Generator().manual_seed(0)
    return lambda word: torch.randn(WIDTH, generator=generator)


def vectors_of_model(folder):
    """What splits a text into tokens of a model, and the vector of a token."""
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    weights = load_file(folder / "model.safetensors")
    (name,) = (name for name in weights if name.endswith("word_embeddings.weight"))
    table, place_of = weights[name].float(), tokenizer.get_vocab()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).tokens, lambda t: table[place_of[t]]


def trained(texts, y, known, split, vector_of, epochs):
    """Embeddings of the other texts by a trained encoder, by its frozen features, and its best epoch."""
    tokens = Tokens(split, texts)
    vectors = torch.stack([vector_of(token) for token in tokens.number])
    vectors = torch.cat([torch.zeros(1, vectors.shape[1]), vectors])
    encoder = DeepMetricLearner(Words(vectors), collate_fn=tokens, max_epochs=epochs, random_state=0)
    encoder.fit(texts[known], y[known])
    frozen = np.stack([vectors[row[row > 0]].mean(0).numpy() for row in (tokens([t])[0] for t in texts)])
    return encoder.transform(texts[~known]), frozen, encoder.best_epoch_


def whole_model(texts, y, known, folder, epochs):
    """Embeddings of the other texts by a sentence-transformers model that is fine-tuned as a whole."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")

    class Sentence(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, batch):
            """Embed what the tokenizer gives."""
            return self.model(dict(batch))["sentence_embedding"]

    def tokenize(batch):
        found = getattr(model, "preprocess", model.tokenize)(list(batch))  # the latter before version 6
        return {name: found[name] for name in ("input_ids", "attention_mask")}

    encoder = DeepMetricLearner(
        Sentence(), collate_fn=tokenize, learning_rate=2e-5, max_epochs=epochs, random_state=0
    )
    encoder.fit(texts[known], y[known])
    return encoder.transform(texts[~known]), encoder.best_epoch_


def show(name, embeddings, y, seconds, note=""):
    """Print a row of the table, and give its MAP@R."""
    rows = Normalizer().transform(np.asarray(embeddings, dtype=np.float64))
    score = map_at_r(rows, y)
    print(f"  {name:46}{score:8.4f}{recall_at_k(rows, y):12.4f}{seconds:10.0f}   {note}", flush=True)
    return score


def frozen_and_learned(name, features, y, known):
    """Rows of cosine and of `MetricLearner` on frozen features; the score of the latter."""
    show(f"{name}, frozen: cosine", features[~known], y[~known], 0)
    start = time.perf_counter()
    learner = MetricLearner(random_state=0).fit(features[known], y[known])
    embeddings = learner.transform(features[~known])
    return show(f"{name}, frozen: MetricLearner", embeddings, y[~known], time.perf_counter() - start)


def main():
    """Print a table for each half."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    spec = importlib.util.spec_from_file_location("load", options.data / "load.py")
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    data = reader.load("banking77")
    texts, y = np.array(data.text, dtype=object), data.target
    gains = {}
    for half, known in halves(y, options.seeds):
        n_known, n_other = len(np.unique(y[known])), len(np.unique(y[~known]))
        print(f"{half}: {known.sum()} messages of {n_known} intents -> {(~known).sum()} of {n_other} others")
        print(f"  {'':46}{'MAP@R':>8}{'recall@1':>12}{'seconds':>10}")
        counts = TfidfVectorizer(sublinear_tf=True, tokenizer=words, token_pattern=None).fit(texts[known])
        reduced = TruncatedSVD(WIDTH, random_state=0).fit(counts.transform(texts[known]))
        features = reduced.transform(counts.transform(texts))
        against = frozen_and_learned("counts of words", features, y, known)
        kinds = {"words, from random vectors": (words, random_vectors())}
        if options.model:
            kinds["tokens, from the model's vectors"] = vectors_of_model(options.model)
        for name, (split, vector_of) in kinds.items():
            start = time.perf_counter()
            embeddings, frozen, epoch = trained(texts, y, known, split, vector_of, options.epochs)
            seconds = time.perf_counter() - start
            if options.model and "model" in name:
                against = frozen_and_learned("tokens of the model", frozen, y, known)
            score = show(f"{name}: trained", embeddings, y[~known], seconds, f"epochs {epoch}")
            gains.setdefault(name, []).append(score - against)
        against = frozen_and_learned("all-MiniLM-L6-v2", data.data, y, known)
        if options.model and options.whole:
            start = time.perf_counter()
            embeddings, epoch = whole_model(texts, y, known, options.model, options.epochs)
            score = show(
                "the whole model: trained", embeddings, y[~known], time.perf_counter() - start, epoch
            )
            gains.setdefault("the whole model", []).append(score - against)
        print()
    print("MAP@R of the trained encoder minus that of MetricLearner on its frozen features, mean and range")
    for name, found in gains.items():
        print(f"  {name:46}{np.mean(found):+8.4f}   {min(found):+.4f} to {max(found):+.4f}")


if __name__ == "__main__":
    main()
