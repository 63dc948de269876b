"""Check that builds give the same bytes anywhere: ``python tools/reproducible.py`` (extra ``dev``).

Wheel and source are built twice from the tracked files, in folders of other names, with other times of files,
other umasks, time zones and hash seeds. So whoever has the tag can build a published file and compare.
Give ``--source`` if the release was made with it.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from release import ROOT, git, pack_readme

PLACES = {  # folder: environment, mask, time of the files in seconds
    "a": ({"TZ": "UTC", "PYTHONHASHSEED": "1"}, 0o022, 1_000_000_000),
    "another-folder": ({"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "2"}, 0o002, 1_600_000_000),
}


def main():
    """Build twice, compare, and print the digests."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", metavar="ADDRESS", help="as for tools/release.py")
    source = parser.parse_args().source
    with tempfile.TemporaryDirectory() as folder:
        built = [digests_of(Path(folder, name), source, *settings) for name, settings in PLACES.items()]
    first, second = built
    different = [name for name in first | second if first.get(name) != second.get(name)]
    if different:
        sys.exit(f"two builds differ in {', '.join(different)}")
    for name, digest in first.items():
        print(f"{digest}  {name}")


def digests_of(place, source, environment, mask, seconds):
    """SHA-256 of each file that a build from a copy of the tracked files makes."""
    before = os.umask(mask)
    try:
        copy_tracked(place / "skmetric", source, seconds)
        command = [sys.executable, "-m", "build", "--outdir", str(place / "dist"), str(place / "skmetric")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | environment)
    finally:
        os.umask(before)
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted((place / "dist").iterdir())
    }


def copy_tracked(place, source, seconds):
    """Copy the files that git tracks, all of one time; only the right to execute stays as it is."""
    for name in git("ls-files").splitlines():
        tracked, target = ROOT / name, place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(tracked.read_bytes())
        if name == "README.md":
            pack_readme(target, source)
        if os.access(tracked, os.X_OK):
            target.chmod(target.stat().st_mode | 0o111)
        os.utime(target, (seconds, seconds))


if __name__ == "__main__":
    main()
