"""Write what version 0.1 (before the rooms) saved, and the answers it gave: run once, at commit 6d862db."""
import json, warnings
from pathlib import Path
import joblib, numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skmetric.deep import DeepMetricLearner, SiameseLearner
from skmetric.linear import MetricLearner
from skmetric.search import ClassCenters, FaissIndex, KReciprocal, SimilaritySearch


def main():
    warnings.simplefilter("ignore")
    here = Path("tests/saved/v0_1")
    rng = np.random.default_rng(0)
    names = np.array(["ant", "bee", "cat", "dog"])
    centers = 3 * rng.normal(size=(4, 6))
    X = (np.repeat(centers, 8, axis=0) + rng.normal(size=(32, 6))).astype(np.float32)
    y = np.repeat(names, 8)
    Q = np.concatenate([X[::5] + 0.1, 20 + rng.normal(size=(3, 6)).astype(np.float32)])
    np.savez(here / "data.npz", X=X, y=y, Q=Q)
    learner = MetricLearner(shrinkage=(0.5, 0.5)).fit(X, y)
    meta = {"shop": ["A", "B"] * 16, "price": np.arange(32.0)}
    def made(index=None, **kw):
        s = SimilaritySearch(learner, index, **kw).fit(X, y, ids=[f"i{k}" for k in range(32)], metadata=meta)
        s.calibrate(targets={"strict": ("false_accept_rate", 0.1)}, per_class=kw.get("matcher") is None, n_resamples=50)
        return s
    answers = {}
    def note(name, s):
        t = s.lookup(Q, 3)
        answers[name] = {"predict": s.predict(Q).tolist(), "ids": t["id"].tolist(), "distances": t["distance"].tolist(), "cutpoints": s.calibration_.cutpoints}
    exact = made(); exact.save(here / "exact"); note("exact", exact)
    flat = made(FaissIndex("Flat")); flat.save(here / "faiss"); note("faiss", flat)
    centers_ = made(matcher=ClassCenters(2), rerank=KReciprocal(5, 2)); centers_.save(here / "centers"); note("centers", centers_)
    joblib.dump(learner, here / "learner.joblib")
    joblib.dump(exact, here / "exact.joblib"); joblib.dump(flat, here / "faiss.joblib"); joblib.dump(centers_, here / "centers.joblib")
    deep = DeepMetricLearner("mlp", n_components=3, max_epochs=2, loss="proxy_anchor", random_state=0, device="cpu")
    deep.fit(X, y); joblib.dump(deep, here / "deep.joblib")
    pairs = np.stack([X[:-1], X[1:]], axis=1); same = (y[:-1] == y[1:])
    siamese = SiameseLearner("linear", n_components=3, max_epochs=2, random_state=0, device="cpu").fit(pairs, np.where(same, 1, -1))
    joblib.dump(siamese, here / "siamese.joblib")
    pipe = make_pipeline(StandardScaler(), MetricLearner(shrinkage=(0.5, 0.5)), KNeighborsClassifier(3)).fit(X, y)
    joblib.dump(pipe, here / "pipeline.joblib")
    answers["learner"] = learner.transform(Q).tolist(); answers["deep"] = deep.transform(Q).tolist()
    answers["siamese"] = siamese.transform(Q).tolist(); answers["pipeline"] = pipe.predict(Q).tolist()
    (here / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":  # a collector of tests that imports this file writes nothing
    main()
