"""Samples in tar files, the form of WebDataset: a stream that divides the files among its workers."""

import io
import tarfile

import numpy as np
import pytest
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from skmetric import DeepMetricLearner

RNG = np.random.default_rng(0)
Y = RNG.integers(3, size=36)
X = (np.eye(3)[Y] + RNG.normal(size=(36, 3)) / 8).astype(np.float32)


class Shards(IterableDataset):
    """Samples from tar files, each `<key>.npy` and `<key>.cls`; workers divide the tar files."""

    def __init__(self, files):
        self.files = files

    def __iter__(self):
        worker = get_worker_info()
        start, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for file in self.files[start::step]:
            with tarfile.open(file) as shard:
                while (sample := shard.next()) is not None:
                    values = np.load(io.BytesIO(shard.extractfile(sample).read()))
                    yield values, shard.extractfile(shard.next()).read().decode()


def written(folder, n_files=3):
    files = [folder / f"{number}.tar" for number in range(n_files)]
    for number, file in enumerate(files):
        with tarfile.open(file, "w") as shard:
            for i in range(number, len(X), n_files):
                stream = io.BytesIO()
                np.save(stream, X[i])
                for name, data in ((f"{i}.npy", stream.getvalue()), (f"{i}.cls", f"class {Y[i]}".encode())):
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    shard.addfile(member, io.BytesIO(data))
    return files


class ByWorkers(IterableDataset):
    """A stream that worker processes read, each its own files."""

    def __init__(self, stream, num_workers):
        self.stream, self.num_workers = stream, num_workers

    def __iter__(self):
        yield from DataLoader(self.stream, batch_size=None, num_workers=self.num_workers)


@pytest.mark.parametrize("wrapped", [lambda stream: stream, lambda stream: ByWorkers(stream, 2)])
def test_tar_shards_train(tmp_path, wrapped):
    shards = wrapped(Shards(written(tmp_path)))
    assert sorted(label for _, label in shards) == sorted(f"class {label}" for label in Y)
    learner = DeepMetricLearner(
        "linear",
        n_components=2,
        max_epochs=2,
        steps_per_epoch=6,
        classes_per_batch=3,
        samples_per_class=2,
        learning_rate=0.05,
        device="cpu",
        random_state=0,
    ).fit(shards)
    assert learner.classes_.tolist() == ["class 0", "class 1", "class 2"]
    assert learner.score(X, Y) > 0.95
