"""Folders of a search: saving beside a plain write of the same bytes, loading by memory map, checking.

    python benchmarks/folders.py [--items 1000000] [--repeats 5] [--quick]

The gallery has 128 float32 features, text ids, and metadata of a float, an integer and a text. A plain write
is one file after the other, with one ``fsync`` each. Both are timed in turn, and the median is printed: wall
clock and the CPU time of the process, since other work on the machine and its disk change the former.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from skmetric import SimilaritySearch
from skmetric._folder._folder import read_folder


def made(n_items):
    """A search without an embedder over random items with ids and metadata."""
    rng = np.random.default_rng(0)
    metadata = {
        "price": rng.random(n_items),
        "year": rng.integers(1990, 2026, n_items),
        "shop": np.array([f"shop {number % 500}" for number in range(n_items)]),
    }
    vectors = rng.normal(size=(n_items, 128)).astype(np.float32)
    ids = [f"item-{number:07d}" for number in range(n_items)]
    return SimilaritySearch().fit(
        vectors, rng.integers(0, n_items // 10, n_items), ids=ids, metadata=metadata
    )


def timed(call):
    """Wall clock and CPU seconds of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def write_plainly(folder, contents):
    """Write files one after the other, synced."""
    folder.mkdir()
    for number, content in enumerate(contents):
        with open(folder / str(number), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())


def median(times):
    """Medians of wall clock and CPU."""
    return [statistics.median(column) for column in zip(*times, strict=True)]


def line(label, seconds, note=""):
    """Print one measurement."""
    print(f"{label:34}{seconds[0]:9.2f} s{seconds[1]:9.2f} s   {note}", flush=True)


def main():
    """Print the measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="20,000 items, twice")
    options = parser.parse_args()
    n_items, repeats = (20_000, 2) if options.quick else (options.items, options.repeats)
    search = made(n_items)
    with tempfile.TemporaryDirectory() as place:
        kept, saved, plain = Path(place, "kept"), [], []
        search.save(kept)
        contents = [file.read_bytes() for file in kept.rglob("*") if file.is_file()]
        for number in range(repeats):
            saved.append(timed(lambda folder=Path(place, f"ours{number}"): search.save(folder)))
            plain.append(timed(lambda folder=Path(place, f"plain{number}"): write_plainly(folder, contents)))
            for name in ("ours", "plain"):
                shutil.rmtree(Path(place, f"{name}{number}"))
        loaded = [timed(lambda: SimilaritySearch.load(kept)) for _ in range(repeats)]
        opened = [read_folder(kept, None)[1] for _ in range(repeats)]
        checked = [timed(lambda arrays=arrays: arrays["index_vectors"]) for arrays in opened]
        vectors = opened[0]["index_vectors"].nbytes  # which a small gallery has read by then
    ours, peer, load, check = map(median, (saved, plain, loaded, checked))
    size = sum(map(len, contents)) / 1e6
    print(f"{n_items:,} items, {size:,.0f} MB; load of the machine {os.getloadavg()[0]:.1f}")
    print(f"\n{'':34}{'wall clock':>11}{'CPU':>11}")
    line("plain write of the same bytes", peer)
    line(
        "save, with checksums", ours, f"ratio {ours[0] / peer[0]:.2f}, of CPU {ours[1] / peer[1]:.2f}; <= 1.5"
    )
    line("load", load, "< 1 s")
    rates = [vectors / 1e9 / max(seconds, 1e-9) for seconds in check]
    print(f"{'digest check of the embeddings':34}{rates[0]:6.2f} GB/s{rates[1]:6.2f} GB/s   > 1 GB/s")


if __name__ == "__main__":
    main()
