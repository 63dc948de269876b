"""A recognition server of NumPy and ONNX Runtime: it needs neither torch, scikit-learn nor this package.

It reads two files, ``model.onnx`` and ``gallery.npz``, from the folder that MODEL names, and answers POST
requests whose body is an array in NumPy's ``.npy`` format: rows (n, n_features) or images (n, H, W, C)::

    MODEL=door python serve_onnx.py
"""

import io
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnxruntime

FOLDER = Path(os.environ.get("MODEL", "."))
LARGEST = 10_000_000  # bytes of a request

session = onnxruntime.InferenceSession(FOLDER / "model.onnx")
about = json.loads(session.get_modelmeta().custom_metadata_map["skmetric"])
with np.load(FOLDER / "gallery.npz", allow_pickle=False) as stored:
    gallery, labels, threshold = stored["embeddings"], stored["labels"], float(stored["threshold"])
squares = np.einsum("ij,ij->i", gallery, gallery)


def names(samples):
    """Label of the nearest item, or "unknown" beyond the threshold."""
    if samples.shape[1:] != tuple(about["shape"]) or samples.dtype != about["dtype"]:
        raise ValueError(
            f"samples of shape {about['shape']} and {about['dtype']} are needed, got {samples.shape[1:]} and "
            f"{samples.dtype}"
        )
    (embeddings,) = session.run(["embeddings"], {about["input"]: samples})
    nearest = (squares - 2 * embeddings @ gallery.T).argmin(axis=1)
    distances = np.linalg.norm(embeddings - gallery[nearest], axis=1)
    return np.where(distances <= threshold, labels[nearest], "unknown").tolist()


class Door(BaseHTTPRequestHandler):
    """One request, one answer in JSON."""

    def do_POST(self):
        """Names, or the reason why there are none."""
        try:
            length = int(self.headers.get("content-length", 0))
            if not 0 < length <= LARGEST:
                raise ValueError(f"a body of 1 to {LARGEST:,} bytes is needed")
            samples = np.load(io.BytesIO(self.rfile.read(length)), allow_pickle=False)
            status, answer = 200, {"names": names(samples)}
        except (ValueError, EOFError, OSError, SyntaxError) as error:
            status, answer = 400, {"detail": str(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(os.environ.get("PORT", "8000"))), Door).serve_forever()
