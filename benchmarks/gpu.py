"""What a GPU reaches, beside what it can: training, losses of large batches, frozen features, exact search.

The device's peak is measured first, by products of large matrices in each precision; the other figures are
compared with it. On the CPU all parts run too, on small sizes (`--quick` takes them everywhere), which shows
that the script works and nothing else.

    python benchmarks/gpu.py                 all parts
    python benchmarks/gpu.py epoch           an epoch of the CIFAR-10 tutorial, 4,000 batches of 80
    python benchmarks/gpu.py losses          batch-all triplets and multi-similarity on 8,192 embeddings
    python benchmarks/gpu.py features        ResNet-50 in bf16, from JPEGs, against the bare network
    python benchmarks/gpu.py search          ExactIndex(device=...) in 1,000,000 x 128

Limits, on one GPU of a data centre: an epoch 12 s, a loss 4 GB, features .60 of the bare network, search .50
of the product's peak.
"""

import argparse
import time
from tempfile import TemporaryDirectory

import numpy as np
import torch
from cifar10_tutorial import tutorial_learner
from features_throughput import bare_loop, let_timm_load, make_jpegs, rate
from scale import in_memory, measured
from torch.utils.flop_counter import FlopCounterMode

from skmetric.deep.losses import MultiSimilarityLoss, TripletMarginLoss
from skmetric.features import FrozenFeatures
from skmetric.search import ExactIndex

LIMITS = {"epoch": 12.0, "losses": 4.0, "features": 0.6, "search": 0.5}


def wait(device):
    """Let the device end what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(run, device, repeats=3):
    """Least seconds of the clock of some calls, after one that is not counted."""
    taken = []
    for _ in range(repeats + 1):
        wait(device)
        start = time.perf_counter()
        run()
        wait(device)
        taken.append(time.perf_counter() - start)
    return min(taken[1:])


def product_peak(device, dtype, side, *, tf32=False):
    """TFLOP/s of a product of two square matrices."""
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else before)
    try:
        return 2 * side**3 / seconds(lambda: left @ right, device) / 1e12
    finally:
        torch.set_float32_matmul_precision(before)


def verdict(options, name, value, *, most=True):
    """Whether a limit is kept, on the sizes that it is a limit of."""
    if options.small:
        return "no limit for small sizes"
    kept = value <= LIMITS[name] if most else value >= LIMITS[name]
    return f"limit {LIMITS[name]:g}: {'kept' if kept else 'NOT kept'}"


def peaks(options):
    """What the device can do."""
    side = 128 if options.small else 8192
    kinds = {
        "float32": (torch.float32, False),
        "TF32": (torch.float32, True),
        "bf16": (torch.bfloat16, False),
    }
    for name, (dtype, tf32) in kinds.items():
        options.peaks[name] = product_peak(options.device, dtype, side, tf32=tf32)
        print(f"  product of {side:,} x {side:,} in {name:8}{options.peaks[name]:10.3f} TFLOP/s")


def epoch(options):
    """Seconds of an epoch of the tutorial, the second one, and the share of the peak."""
    n_steps, n_images = (1, 400) if options.small else (4000, 50_000)
    rng = np.random.default_rng(0)
    images, y = rng.integers(0, 256, (n_images, 32, 32, 3), dtype=np.uint8), np.arange(n_images) % 10
    learner = tutorial_learner(n_steps, 2).set_params(device=str(options.device), validation_fraction=None)
    learner.fit(images, y)
    took = learner.history_[1]["seconds"]
    batch = torch.zeros(80, 3, 32, 32, device=options.device)
    with FlopCounterMode(display=False) as counter:
        learner.module_.to(options.device)(batch).sum().backward()
    reached = counter.get_total_flops() * n_steps / took / 1e12
    print(f"  {n_steps:,} batches of 80, precision='auto': {took:.2f} s, {verdict(options, 'epoch', took)}")
    print(f"  {reached:.3f} TFLOP/s, {reached / options.peaks['bf16']:.3f} of the bf16 product")


def losses(options):
    """Peak memory and seconds of losses of a large batch, forward and backward."""
    size = 256 if options.small else 8192
    labels = torch.arange(size, device=options.device) // 8
    rows = torch.nn.functional.normalize(torch.randn(size, 128, device=options.device)).requires_grad_()
    for loss in (TripletMarginLoss(margin=0.2), MultiSimilarityLoss()):

        def run(loss=loss):
            rows.grad = None
            loss(rows, labels).backward()

        run()
        gigabytes = peak_memory(run, options.device)
        took = seconds(run, options.device, repeats=2)
        name = type(loss).__name__
        print(
            f"  {name:24} B={size:,}: {gigabytes:.2f} GB, {verdict(options, 'losses', gigabytes)}; "
            f"{1e3 * took:.1f} ms, the product of its embeddings alone "
            f"{2 * size**2 * 128 / options.peaks['float32'] / 1e9:.2f} ms"
        )


def peak_memory(run, device):
    """GB above what was there before."""
    if device.type != "cuda":
        return measured(run)[1] / 1024
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    wait(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 2**30


def features(options):
    """Images a second, decoding included, against the bare network."""
    _kept = let_timm_load()
    model, n, batch_size = ("resnet18", 8, 4) if options.small else ("resnet50", 4096, 256)
    with TemporaryDirectory() as folder:
        paths = make_jpegs(folder, n, 96 if options.small else 375)
        frozen = FrozenFeatures(
            model, weights=None, batch_size=batch_size, precision="bf16", device=str(options.device)
        ).fit(paths)

        def bare():
            with torch.autocast(options.device.type, torch.bfloat16):
                bare_loop(frozen, n)

        bare()
        alone, ours = rate(bare, n), rate(lambda: frozen.transform(paths), n)
    size = frozen.input_config_.image_size
    batch = torch.zeros(1, 3, *size, device=options.device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        frozen.module_.to(options.device)(batch)
    reached = counter.get_total_flops() * ours / 1e12
    share = ours / alone
    print(
        f"  {model}, bf16, {n:,} JPEGs: {ours:,.0f} images/s, bare network {alone:,.0f}, ratio {share:.2f},"
    )
    print(f"  {verdict(options, 'features', share, most=False)}")
    print(f"  {reached:.3f} TFLOP/s, {reached / options.peaks['bf16']:.3f} of the bf16 product")


def search(options):
    """Exact search against the product of queries and rows alone, on the device."""
    n, n_queries = (10_000, 200) if options.small else (1_000_000, 4096)
    X, queries = in_memory(n, 128), in_memory(n_queries, 128, seed=1)
    index = ExactIndex(device=str(options.device)).add(np.arange(n), X)
    took = seconds(lambda: index.query(queries, 10), options.device)
    rows, asked = torch.from_numpy(X).to(options.device), torch.from_numpy(queries).to(options.device)
    parts = asked.split(64 if options.device.type == "cpu" else 1024)
    alone = seconds(lambda: [part @ rows.T for part in parts], options.device)
    flops = 2 * n * n_queries * 128 / 1e12
    print(f"  {n_queries:,} queries of k=10 in {n:,} x 128: {1e3 * took:.1f} ms, {flops / took:.3f} TFLOP/s")
    print(f"  product alone: {1e3 * alone:.1f} ms, {flops / alone:.3f} TFLOP/s")
    share = alone / took
    print(f"  ratio {share:.2f}, {verdict(options, 'search', share, most=False)}")
    print(f"  of the float32 product of square matrices {flops / took / options.peaks['float32']:.2f}")


PARTS = {"epoch": epoch, "losses": losses, "features": features, "search": search}


def main():
    """Print the device, its peak and the parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=PARTS, help="without it all run")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="small sizes, as on a CPU")
    options = parser.parse_args()
    options.device, options.peaks = torch.device(options.device), {}
    options.small = options.quick or options.device.type == "cpu"
    on_gpu = options.device.type == "cuda"
    name = (
        torch.cuda.get_device_name(options.device) if on_gpu else f"CPU, {torch.get_num_threads()} thread(s)"
    )
    print(f"{name}, torch {torch.__version__}{', small sizes: no figures of this device' * options.small}\n")
    print("peak")
    peaks(options)
    for part in [options.part] if options.part else PARTS:
        print(f"\n{part}", flush=True)
        PARTS[part](options)


if __name__ == "__main__":
    main()
