"""No secret of an address is shown: in no repr, HTML, error, cause, log, pickle, folder or parameter."""

import copy
import json
import logging
import pickle
import traceback

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmetric import MetricLearner, io
from skmetric.exceptions import IndexUnavailableError
from skmetric.search import ExactIndex, MilvusIndex, PgVectorIndex, SimilaritySearch

S = "hush/hu@sh:x"  # as libpq reads it, for the spellings that quote it
SPELLINGS = [
    "host=/nowhere dbname=a password='hush hu''sh'",
    "host=/nowhere password = hush\\ hush dbname=a",
    "  host=/nowhere  password=hush  ",
    "password=hush@hush/hush host=/nowhere",
    "host=/nowhere sslpassword=hush oauth_client_secret=hush",
    "host=/nowhere oauth_client_secret='hush hush'",
    "host=/nowhere scram_client_key=hush scram_server_key=hush",
    "postgresql://u:hush@/a?host=/nowhere",
    "postgresql://u:hush%40hush%2Fhush@/a?host=/nowhere",
    "postgresql://u:hush:hush@/a?host=/nowhere",
    "postgres://u@/a?host=/nowhere&password=hush",
    "postgres://u@/a?host=/nowhere&sslpassword=hush&oauth_client_secret=hush",
    "postgresql://u%3Ahush@/a?host=/nowhere",
    # not what was meant: these cannot be read, or mean another host
    "postgresql://u:hush@hush@host/a",
    "postgresql://u:hush/hush@host/a",
    "postgresql://u:hush?hush@host/a",
    " postgresql://u:hush@host/a",
    "\tpostgresql://u:hush@host/a?sslmode=require",
    "POSTGRESQL://u:hush@host/a",
    "host=a hush",
    "host=a password='hush",
    "PASSWORD=hush host=a",
    "host=a pass word=hush",
    "host='u:hush@h' dbname=a",
    "dbname=postgresql://u:hush@h/a",
    "host=/nowhere options='-c my.password=hush'",
    "host=127.0.0.1;port=1;password=hush",  # as ODBC and ADO write it: one value to libpq
    "host=/nowhere dbname=a;password=hush",
    "host=/nowhere user=u;password=hush",
    "postgresql:///a?host=/nowhere&sslmode=disable;password=hush",
    "host=/nowhere port=hush",
    "host=/nowhere connect_timeout=hush",
    "postgresql://u:hush\0@host/a",
    "host=/nowhere password=hush\0",
]
URIS = [
    "http://u:hush@localhost:1",
    "https://u:hush%40hush@localhost:1/a",
    "http://u:hush@hush@localhost:1",
    "http://u:hush/hush@localhost:1",
    " http://u:hush@localhost:1",
    "http://localhost:1?token=hush",
    "u:hush@localhost:1",
    "tcp://u:hush@localhost:1",
    "http://hush@localhost:1",
]


def everything(index, call, log):
    """All text that an index gives away."""
    search = SimilaritySearch(index=index)
    shown = [repr(index), repr(search), index._repr_html_(), search._repr_html_(), repr(index.get_params())]
    shown += [
        repr(clone(index)),
        repr(clone(clone(index)).get_params()),
        repr(search.get_params()),
        f"{[index]}",
    ]
    try:
        call(index)
    except Exception as error:
        shown.append("".join(traceback.format_exception(error, chain=True)))
        while error is not None:
            shown += [str(error), repr(error), repr(vars(error))]
            error = error.__cause__ or error.__context__
    for write in (
        pickle.dumps,
        lambda i: pickle.dumps(copy.deepcopy(i)),
        lambda i: json.dumps(i.to_arrays()[0]),
    ):
        try:
            shown.append(str(write(index)))
        except (ValueError, TypeError) as error:
            shown.append(str(error))
    return "\n".join([*shown, log.text])


def without_source(text):
    """A traceback without the lines of this file, which hold the addresses."""
    return "\n".join(line for line in text.splitlines() if "SPELLINGS" not in line)


@pytest.mark.parametrize("conninfo", SPELLINGS)
def test_addresses_of_postgresql(conninfo, caplog):
    caplog.set_level(logging.DEBUG)
    index = PgVectorIndex(conninfo, "people")
    shown = everything(index, lambda i: i.query([[1.0]], 1), caplog)
    assert "hush" not in without_source(shown)
    assert str(clone(clone(index)).conninfo) == conninfo  # it is there for the connection


@pytest.mark.parametrize("uri", URIS)
def test_addresses_of_milvus(uri, caplog, monkeypatch):
    pymilvus = pytest.importorskip("pymilvus")

    def refuse(self, uri, *args, **options):
        try:
            raise RuntimeError(f"no route to {uri} {args} {options}")
        except RuntimeError as error:
            raise pymilvus.MilvusException(message=f"refused {uri} {options}") from error

    monkeypatch.setattr(pymilvus.MilvusClient, "__init__", refuse)
    caplog.set_level(logging.DEBUG)
    for token in (None, "root:hush hush", " hush"):
        index = MilvusIndex(uri, "people", token=token)
        assert "hush" not in without_source(everything(index, len, caplog))


def test_what_is_harmless_is_shown():
    index = PgVectorIndex("host=db.example port=5432 dbname=faces user=door password=x", "people")
    assert "host=db.example port=5432 dbname=faces user=door password=***" in repr(index)
    assert "https://***@milvus.example:19530" in repr(
        MilvusIndex("https://a:b@milvus.example:19530", "people")
    )
    with pytest.raises(IndexUnavailableError, match="table 'people' on /nowhere cannot be reached"):
        len(PgVectorIndex("host=/nowhere dbname=a", "people"))


def test_words_of_the_server_repeat_no_secret(postgres):
    psycopg = pytest.importorskip("psycopg")
    index = PgVectorIndex(f"{postgres}&password=hush", "people")
    with pytest.raises(ValueError, match=r"the server refused the request: .*\*\*\*") as caught:
        index._opened()._server.read("SELECT 'hush'::int")
    assert "hush" not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"
    assert isinstance(caught.value.__cause__, psycopg.Error)
    index._opened()._server.close()


# Folders


def foreign(tmp_path, index):
    """A folder that names a server, as it came from somebody else."""
    search = SimilaritySearch().fit(np.eye(3))
    search.index_ = index
    search._gallery.describe = lambda: {}
    search._gallery.arrays = lambda: {}
    search.save(tmp_path / "foreign")
    return tmp_path / "foreign"


def test_load_contacts_nobody_whom_the_caller_did_not_name(tmp_path, monkeypatch):
    psycopg = pytest.importorskip("psycopg")
    asked = []
    monkeypatch.setattr(psycopg, "connect", lambda **options: asked.append(options))
    monkeypatch.setenv("PGPASSWORD", "hush")
    folder = foreign(tmp_path, PgVectorIndex("host=evil.example user=u", "people", method="hnsw"))
    with pytest.raises(ValueError, match="nothing connects to it before you name it") as caught:
        SimilaritySearch.load(folder)
    expected = (
        "load(path, index=PgVectorIndex(conninfo='host=evil.example user=u', table='people', method='hnsw'))"
    )
    assert expected in str(caught.value)
    with pytest.raises(TypeError, match="give a PgVectorIndex"):
        SimilaritySearch.load(folder, index=ExactIndex())
    assert not asked


def test_load_makes_no_file_that_a_folder_names(tmp_path):
    folder = foreign(tmp_path, MilvusIndex(str(tmp_path / "made.db"), "people"))
    with pytest.raises(ValueError, match=r"index=MilvusIndex\(uri='.*made.db', collection='people'\)"):
        SimilaritySearch.load(folder)
    assert not (tmp_path / "made.db").exists()


@pytest.mark.parametrize("index", [PgVectorIndex, "postgresql://u:hush@localhost:1/a", {"hush": 1}])
def test_what_is_no_index_is_refused_without_being_shown(index, tmp_path):
    folder = foreign(tmp_path, PgVectorIndex("host=/nowhere user=u", "people"))
    for load in (SimilaritySearch.load, io.load):
        with pytest.raises(TypeError, match=r"index must be an index, .*; got a") as caught:
            load(folder, index=index)
        assert "hush" not in str(caught.value)


def test_a_search_inside_a_model_contacts_nobody_either(tmp_path, monkeypatch):
    psycopg = pytest.importorskip("psycopg")
    asked = []
    monkeypatch.setattr(psycopg, "connect", lambda **options: asked.append(options))
    search = SimilaritySearch().fit(np.eye(4), [0, 0, 1, 1])
    search.index_ = PgVectorIndex("host=evil.example user=u", "people")
    search._gallery.describe, search._gallery.arrays = dict, dict
    io.save(make_pipeline(StandardScaler().fit(np.eye(4)), search), tmp_path / "model")
    for index, error in (
        (None, "nothing connects to it before you name it"),
        (ExactIndex(), "on a server: give"),
    ):
        with pytest.raises(ValueError, match=error):
            io.load(tmp_path / "model", index=index)
    assert not asked


def test_the_index_given_opens_the_search_inside_alone(make_pgvector, tmp_path):
    X, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 3
    learner = MetricLearner(shrinkage=(0.5, 0.5)).fit(X, y)
    inner = SimilaritySearch(learner, index=make_pgvector()).fit(X, y)
    outer = SimilaritySearch(inner).fit(X, y)
    io.save(outer, tmp_path / "search")
    loaded = io.load(tmp_path / "search", index=inner.index_)
    assert loaded.predict(X).tolist() == outer.predict(X).tolist()
    io.save(learner, tmp_path / "learner")
    with pytest.raises(ValueError, match="the folder has no such gallery"):
        io.load(tmp_path / "learner", index=inner.index_)
