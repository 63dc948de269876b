"""
Recommendation and cold start
=============================

Customers who buy pasta may want tomatoes. For items that have been sold, a shop knows this from its
baskets. A new item has a description but no baskets. A metric learned on *descriptions*, with labels from
the baskets, works for both.

Shop and baskets are synthetic. An item belongs to an occasion, such as an Italian dinner, and most items of
a basket are for one occasion. The description depends on the occasion, but more on brand and packaging.
With ``--full`` the descriptions are features of photographs of groceries, with synthetic baskets for their
groups::

    python examples/search/recommendation.py --full --data DIR

where DIR holds ``grocery_features.npz`` and the ``load.py`` that reads it.

What the command prints:

.. measured:: examples/recommendation
"""

import argparse
import runpy

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import SpectralClustering
from sklearn.decomposition import PCA

from skmetric import MetricLearner, SimilaritySearch

parser = argparse.ArgumentParser()
parser.add_argument(
    "--full", action="store_true", help="photographs of groceries in place of synthetic descriptions"
)
parser.add_argument("--data", default="../shared/data", help="folder with load.py and grocery_features.npz")
options = parser.parse_args()

# %%
# Items and baskets
# -----------------


def make_descriptions(rng, n_items=400, n_occasions=20):
    """Descriptions (n_items, 40) and the occasion of each item; the shop does not know the occasion."""
    occasion = rng.integers(n_occasions, size=n_items)
    about = rng.normal(size=(n_occasions, 12))[occasion] + rng.normal(0, 0.5, (n_items, 12))
    brand = rng.normal(size=(n_items, 6))  # and packaging, and the style of the copywriter
    mixed = about @ rng.normal(size=(12, 40)) + 3 * brand @ rng.normal(size=(6, 40))
    return mixed + rng.normal(0, 1, mixed.shape), occasion


def read_groceries(rng):
    """Features of photographs of groceries, and the group of each item."""
    data = runpy.run_path(f"{options.data}/load.py")["load"]("grocery_features", split="train")
    kept = rng.permutation(len(data.target))[:800]
    return PCA(100, random_state=0).fit_transform(data.data[kept]), data.coarse[kept]


def make_baskets(occasion, rng, n_baskets):
    """Baskets of four items: three for one occasion and one that sells well anyway."""
    appeal = rng.pareto(2, len(occasion)) + 0.1  # few items sell much
    baskets = []
    for wanted in rng.choice(occasion, n_baskets):
        chance = np.where(occasion == wanted, appeal, 0)
        n_for_it = min(3, np.count_nonzero(chance))
        for_it = rng.choice(len(appeal), n_for_it, replace=False, p=chance / chance.sum())
        baskets.append(np.unique([*for_it, rng.choice(len(appeal), p=appeal / appeal.sum())]))
    return baskets


def counts(baskets, n_items):
    """How often two items were in the same basket (n_items, n_items)."""
    together = np.zeros((n_items, n_items))
    for basket in baskets:
        together[np.ix_(basket, basket)] += 1
    return together


# %%
# Labels from baskets
# -------------------
# A learner needs classes. Clustering the graph of common baskets groups items that are bought together.
# One item in five is held out as new: it is in no past basket, and has no label.


def learn(X, together, sold):
    """Metric learned from descriptions of items that were sold, their groups the classes."""
    graph = together[np.ix_(sold, sold)]
    expected = np.outer(graph.sum(axis=0), graph.sum(axis=1)) / graph.sum()
    affinity = np.log1p(graph / expected)  # more often than by chance
    groups = SpectralClustering(30, affinity="precomputed", assign_labels="cluster_qr", random_state=0)
    return MetricLearner(random_state=0).fit(X[sold], groups.fit_predict(affinity))


# %%
# Four ways to recommend ten items
# --------------------------------
# The query is one item of a later basket: how many of its other items are among the ten recommended ones?
# Here ``recall@10`` is this share, not the hit rate that metric learning calls recall; ``nDCG@10`` gives
# more weight to higher ranks. All methods choose among items that were sold.


def recommend(X, together, sold, k=10):
    """Ten sold items for each item, by each method: a dict of arrays (n_items, k)."""
    popular = sold[np.argsort(-together.diagonal()[sold])]
    often = together - np.diag(together.diagonal())
    ranked = {
        "popularity": np.tile(popular[: k + 1], (len(X), 1)),
        "common baskets": sold[np.argsort(-often[:, sold], axis=1, kind="stable")[:, : k + 1]],
    }
    for name, embedder in {
        "description, raw": None,
        "description, learned": learn(X, together, sold),
    }.items():
        search = SimilaritySearch(embedder).fit(X[sold], ids=sold)
        ranked[name] = search.ids_[search.kneighbors(X, n_neighbors=k + 1, return_distance=False)]
    itself = {name: found == np.arange(len(X))[:, None] for name, found in ranked.items()}
    for name, is_self in itself.items():
        is_self[~is_self.any(axis=1), -1] = True  # k of k + 1: without the item, or without the last
        ranked[name] = ranked[name][~is_self].reshape(len(X), k)
    return ranked


def score(ranked, baskets, asked, sold):
    """Recall and nDCG at 10, mean over the items of baskets that can be queries."""
    discounts, values = 1 / np.log2(np.arange(2, ranked.shape[1] + 2)), []
    for basket in baskets:
        for item in np.intersect1d(basket, asked):
            rest = np.intersect1d(basket[basket != item], sold)
            if len(rest):
                hits = np.isin(ranked[item], rest)
                values.append((hits.sum() / len(rest), hits @ discounts / discounts[: len(rest)].sum()))
    return np.mean(values, axis=0)


n_draws, table = 3, {}
for seed in range(n_draws):
    rng = np.random.default_rng(seed)
    X, occasion = read_groceries(rng) if options.full else make_descriptions(rng)
    baskets = make_baskets(occasion, rng, n_baskets=10 * len(X))
    new = rng.choice(len(X), len(X) // 5, replace=False)
    sold = np.setdiff1d(np.arange(len(X)), new)
    past, later = baskets[: 9 * len(X)], baskets[9 * len(X) :]
    together = counts([np.intersect1d(basket, sold) for basket in past], len(X))
    sold = sold[together.diagonal()[sold] > 0]
    for name, ranked in recommend(X, together, sold).items():
        for kind, asked in {"sold before": sold, "new": new}.items():
            table.setdefault((kind, name), []).append(score(ranked, later, asked, sold))

print(f"{'asked with an item that is':42}{'recall@10':>22}{'nDCG@10':>22}  mean [range]")
for (kind, name), rows in table.items():
    cells = [f"{np.mean(v):.3f} [{min(v):.3f}, {max(v):.3f}]" for v in zip(*rows, strict=True)]
    print(f"{kind + ': ' + name:42}" + "".join(f"{cell:>22}" for cell in cells))

# %%
# For items that were sold, common baskets are best: they tell which pasta and which tomatoes, while a
# metric only knows the occasion. For new items there are no baskets, and the raw description is worse
# than a list of bestsellers, since it compares brands. The learned metric is nearly as good for new items
# as for old ones. A shop would use baskets for old items, and the metric for new ones.

figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ways = list(dict.fromkeys(name for _, name in table))
for i, (kind, color) in enumerate((("sold before", "#0072b2"), ("new", "#d55e00"))):
    values = np.array([[row[0] for row in table[kind, way]] for way in ways])  # (n_ways, n_draws)
    middle, at = values.mean(axis=1), np.arange(len(ways)) + (i - 0.5) * 0.25
    ends = [middle - values.min(axis=1), values.max(axis=1) - middle]
    look = {"color": color, "marker": "os"[i], "linestyle": "none", "capsize": 3}
    ax.errorbar(middle, at, xerr=ends, label=f"asked with an item: {kind}", **look)
ax.set(
    yticks=range(len(ways)), yticklabels=ways, xlabel="recall@10, from 0 to 1; bars: lowest and highest shop"
)
ax.set_xlim(left=0)
ax.invert_yaxis()
ax.legend(fontsize="small")
ax.spines[["top", "right"]].set_visible(False)

# %%
# Filters
# -------
# Recommended items should be in stock, and in the price range of the query. ``where=`` takes conditions
# on the columns given as ``metadata``: a value, a list, ``slice(low, high)``, or ``Not`` of these.

shop = {"price": rng.gamma(4, 3, len(X)).round(2), "in_stock": rng.random(len(X)) < 0.7}
gallery = {name: column[sold] for name, column in shop.items()}
search = SimilaritySearch(learn(X, together, sold)).fit(X[sold], ids=sold, metadata=gallery)
asked = new[:1]
price = float(shop["price"][asked[0]])
print(f"new item {asked[0]}, price {price}")
print(search.lookup(X[asked], n_neighbors=4))
print(f"\nin stock, from {0.5 * price:.2f} to {1.5 * price:.2f}")
found = search.lookup(
    X[asked], n_neighbors=4, where={"in_stock": True, "price": slice(0.5 * price, 1.5 * price)}
)
print(found)
print(
    f"\n{np.mean(occasion[found['id']] == occasion[asked[0]]):.0%} of these are for the occasion of the item"
)
