"""Make a release: ``python tools/release.py 0.2.0 [--source ADDRESS]`` (extra ``dev``), on a clean branch.

It checks the tree, moves the fragments of ``changes/`` into CHANGELOG.md, sets the version, builds wheel and
source, checks how a package index shows them, installs the wheel in a fresh environment, commits and tags. It
publishes nothing: the last line says how. ``--source`` is the address of the repository, under which links
and pictures of the README are found on a package index; without it the README is packed without them. What
the README marks as for a copy of the source is not packed.
"""

import argparse
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from email.parser import BytesParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = re.compile(r'(?m)^(__version__ = ")[^"]+(")$')
CITED = re.compile(r"(?m)^(version: ).+$")
SOURCE_ONLY = re.compile(r"<!-- in the source -->\n.*?<!-- end -->\n", re.DOTALL)
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#|mailto:)([^)\s]+)\)")


def main():
    """Run the steps; the first that fails ends the release."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("version", help="such as 0.2.0")
    parser.add_argument(
        "--source", metavar="ADDRESS", help="of the files of the repository, for README links"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="default: %(default)s")
    parser.add_argument("--no-commit", action="store_true", help="build and check, then put all files back")
    options = parser.parse_args()
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", options.version):
        parser.error(f"{options.version!r} is no version: write 0.2.0, or 0.2.0rc1")
    if git("status", "--porcelain"):
        sys.exit("there are changes that are not committed: commit or stash them first")
    if git("tag", "--list", f"v{options.version}"):
        sys.exit(f"v{options.version} exists")
    try:
        write_version(options.version)
        command("towncrier", "build", "--yes", "--version", options.version)
        files = build(options.out, options.source)
        check(files, options.version)
    except BaseException:
        put_back()
        raise
    if options.no_commit:
        put_back()
        return
    git("add", "--all")
    git("commit", "--message", f"Release {options.version}")
    git("tag", "--annotate", f"v{options.version}", "--message", f"skmetric {options.version}")
    print(f"Tagged v{options.version}. To publish: git push --follow-tags; twine upload {options.out}/*")


def write_version(version):
    """Set the version in the package and in the citation."""
    for name, pattern, text in (
        ("skmetric/__init__.py", VERSION, rf"\g<1>{version}\g<2>"),
        ("CITATION.cff", CITED, rf"\g<1>{version}"),
    ):
        file = ROOT / name
        new, count = pattern.subn(text, file.read_text("utf-8"))
        if count != 1:
            sys.exit(f"{name} has {count} lines with a version, not one")
        file.write_text(new, "utf-8")


def build(out, source):
    """Build wheel and source from a copy of the tracked files; return both."""
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "skmetric"
        names = git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
        for name in names:
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        pack_readme(copy / "README.md", source)
        command(sys.executable, "-m", "build", "--outdir", str(out), str(copy))
    return sorted(out.glob("*.whl")) + sorted(out.glob("*.tar.gz"))


def pack_readme(file, source):
    """Write the README as a package index needs it, which knows no files beside it."""
    text = SOURCE_ONLY.sub("", file.read_text("utf-8"))
    file.write_text(absolute(text, source) if source else without_links(text), "utf-8")


def absolute(text, source):
    """Links and pictures of a Markdown text under an address, those that have one already as they are."""
    return LINK.sub(lambda m: f"{m[1]}[{m[2]}]({source.rstrip('/')}/{m[3]})", text)


def without_links(text):
    """A Markdown text with the words of its relative links alone, which lead nowhere on a package index."""
    return LINK.sub(lambda m: f"*{m[2]}*" if m[1] else m[2], text)


def check(files, version):
    """Look into the wheel, and use it in an environment of its own."""
    wheel, _ = files
    command(sys.executable, "-m", "twine", "check", "--strict", *map(str, files))
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        told = BytesParser().parsebytes(packed.read(metadata))
    foreign = [name for name in names if not name.startswith(("skmetric/", "skmetric-"))]
    if told["Version"] != version or foreign or "skmetric/py.typed" not in names:
        sys.exit(
            f"the wheel is wrong: version {told['Version']}, {foreign=}, "
            f"py.typed {'skmetric/py.typed' in names}"
        )
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        command(sys.executable, "-m", "venv", folder)
        use_packages_at_hand(python)
        command(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", str(wheel))
        program = (
            "import skmetric, sklearn.datasets as d; X, y = d.load_digits(return_X_y=True); "
            "print(skmetric.__file__, skmetric.__version__); "
            "print(skmetric.MetricLearner().fit(X[::4], y[::4]).score(X, y))"
        )
        command(str(python), "-I", "-c", program, cwd=folder)


def use_packages_at_hand(python):
    """Let an environment find the packages of this one, behind its own: torch is large.

    ``--system-site-packages`` would not find them from a virtual environment.
    """
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    places = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    Path(site, "at_hand.pth").write_text("\n".join(places) + "\n", "utf-8")


def put_back():
    """Undo what the steps wrote; the tree was clean."""
    git("reset", "--quiet", "--hard")
    git("clean", "--quiet", "--force", "--", "CHANGELOG.md", "changes")


def git(*arguments):
    """Run git in the repository and return what it prints."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def command(*arguments, cwd=ROOT):
    """Run a command; its failure ends the release."""
    subprocess.run(arguments, cwd=cwd, check=True)


if __name__ == "__main__":
    main()
