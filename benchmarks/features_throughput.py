"""Images per second of FrozenFeatures, on a folder of JPEGs and on an array, against the bare network.

The bare network is a loop over ready float tensors: no reading, no sizing. A ratio near 1 says that reading
and sizing hide behind the network.

    python benchmarks/features_throughput.py [--model resnet18] [--images 256] [--side 500] [--batch-size 32]
"""

import argparse
import runpy
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from skmetric.features import FrozenFeatures


def make_jpegs(folder, n_images, side):
    """Photograph-like pictures: coarse noise, enlarged, as a 4:3 JPEG of quality 90."""
    rng = np.random.default_rng(0)
    for i in range(n_images):
        coarse = Image.fromarray(rng.integers(0, 256, (side // 12, side // 9, 3), dtype=np.uint8))
        coarse.resize((side * 4 // 3, side), Image.Resampling.BICUBIC).save(
            Path(folder, f"{i}.jpg"), quality=90
        )
    return sorted(map(str, Path(folder).glob("*.jpg")))


def bare_loop(frozen, n_images):
    """Run the network on ready tensors, as `frozen` would."""
    config = frozen.input_config_
    batch = torch.rand(frozen.batch_size, config.n_channels, *config.image_size)
    module = frozen.module_.eval()
    device = next(module.parameters()).device
    batch = batch.to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        for start in range(0, n_images, frozen.batch_size):
            module(batch[: n_images - start]).cpu()


def rate(run, n_images):
    """Images per second: the best of three."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return n_images / min(seconds)


def let_timm_load():
    """Declare what torchvision misses beside a torch built for the CPU, as tests/conftest.py does."""
    declarations = Path(__file__).parents[1] / "../shared/data/torchvision_cpu.py"
    return runpy.run_path(str(declarations)) if declarations.is_file() else None


def main():
    """Print one table."""
    _kept = let_timm_load()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--side", type=int, default=500, help="height of the JPEGs")
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    n = options.images
    with TemporaryDirectory() as folder:
        paths = make_jpegs(folder, n, options.side)
        frozen = FrozenFeatures(
            options.model, weights=None, batch_size=options.batch_size, precision="fp32"
        ).fit(paths)
        small = np.random.default_rng(0).integers(0, 256, (n, 64, 64, 3), dtype=np.uint8)
        bare_loop(frozen, options.batch_size)  # warm up
        rates = {
            "bare network, ready tensors": rate(lambda: bare_loop(frozen, n), n),
            f"JPEGs of {options.side * 4 // 3}x{options.side}": rate(lambda: frozen.transform(paths), n),
            "array of 64x64": rate(lambda: frozen.transform(small), n),
        }
    bare = next(iter(rates.values()))
    print(f"{options.model}, {n} images, {torch.get_num_threads()} torch threads")
    print(f"{'':30} {'images/s':>9} {'of bare':>8}")
    for name, value in rates.items():
        print(f"{name:30} {value:9.1f} {value / bare:8.2f}")


if __name__ == "__main__":
    main()
