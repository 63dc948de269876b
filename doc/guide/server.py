"""A recognition server over HTTP, for images, texts or rows of numbers.

``embedder.joblib`` and ``gallery/`` lie in one folder, written by another process::

    GALLERY=door uvicorn server:app --workers 4

Each worker loads the folder, and again when ``search.save("door/gallery")`` has written a new state.
Embeddings are memory-mapped: workers share them.
"""

import io
import os
from pathlib import Path
from threading import Lock
from time import monotonic

import joblib
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image
from pydantic import BaseModel, Field

from skmetric import SimilaritySearch

FOLDER = Path(os.environ.get("GALLERY", "door"))
FORMATS = ("JPEG", "PNG", "WEBP")
LARGEST = 10_000_000  # bytes of an image
EVERY = 1.0  # seconds between two looks at the folder


class Current:
    """The search of the newest save."""

    def __init__(self):
        self._lock, self._search, self._seen, self._looked = Lock(), None, None, -EVERY

    def get(self):
        """Load the folder if it has changed; requests that run keep the search that they have."""
        with self._lock:
            if monotonic() - self._looked >= EVERY:
                self._looked = monotonic()
                manifest = (FOLDER / "gallery" / "manifest.json").stat()
                written = (manifest.st_mtime_ns, manifest.st_ino)
                if written != self._seen:
                    embedder = joblib.load(FOLDER / "embedder.joblib")  # a pickle: only from yourself
                    self._search = SimilaritySearch.load(FOLDER / "gallery", embedder=embedder)
                    self._seen = written
            return self._search


class Rows(BaseModel):
    """Samples as JSON: texts, or rows of numbers."""

    samples: list[str] | list[list[float]] = Field(min_length=1, max_length=1000)
    n_neighbors: int = Field(default=3, ge=1, le=100)


app = FastAPI(title="Recognition")
current = Current()


@app.get("/health")
def health():
    """200 when the gallery is loaded, for a load balancer."""
    try:
        search = current.get()
    except OSError as error:
        raise HTTPException(503, f"no gallery: {error}") from None
    return {
        "items": len(search.ids_),
        "classes": len(search.classes_),
        "calibrated": search.cutpoint_ is not None,
    }


@app.post("/rows")
def rows(asked: Rows):
    """Answer for texts or rows of numbers."""
    return answer(asked.samples, asked.n_neighbors)


@app.post("/image")
async def image(request: Request, n_neighbors: int = 3):
    """Answer for one image, the body of the request."""
    if int(request.headers.get("content-length", LARGEST + 1)) > LARGEST:
        raise HTTPException(413, f"an image of at most {LARGEST:,} bytes, with its length in the header")
    try:
        picture = Image.open(io.BytesIO(await request.body()), formats=FORMATS)
        picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise HTTPException(400, f"no image that can be read ({', '.join(FORMATS)}): {error}") from None
    return await run_in_threadpool(answer, [picture], n_neighbors)  # other requests go on meanwhile


def answer(samples, n_neighbors):
    """Names and neighbours; a wrong request gets the reason."""
    search = current.get()
    try:
        names = search.predict(samples).tolist()
        nearest = search.lookup(samples, n_neighbors=n_neighbors).to_records()
    except (TypeError, ValueError) as error:
        raise HTTPException(400, str(error)) from None
    return {"names": names, "nearest": nearest}
