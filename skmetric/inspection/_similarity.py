"""SimilarityMapDisplay: which regions of two images make them near."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.ndimage import zoom
from sklearn.utils.validation import check_is_fitted

from skmetric._embedding import steps_of

from ._items import pixels, to_rgb
from ._parts import image_parts
from ._style import BLACK, BLUE, RED, panels_of

if TYPE_CHECKING:
    pass

_KINDS = {
    "similarity": "part of the inner product, by place",
    "distance": "part of the squared distance, by place",
}
_SOLID = 0.8  # opacity of the strongest color
_OUTLINED = 0.5  # of the strongest value


class SimilarityMapDisplay:
    r"""Two images, each place coloured by what it adds to their similarity, or to their distance.

    A network that pools the activations at its places, with nothing behind that but linear maps and unit
    length, makes an embedding that is a sum over places, so that the inner product of two embeddings is a sum
    over pairs of places [1]_ [2]_, and no gradient, occlusion or surrogate is needed. Make one with
    :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    image_a, image_b : ndarray of shape (H, W) or (H, W, 3)
        Pictures, as the network sees them.
    parts_a, parts_b : ndarray of shape (n_rows, n_columns, n_components)
        What each place gives to the embedding: they add up to it. The grids may differ, components may not.
    kind : {"similarity", "distance"}, default="similarity"
        What `plot` colours by: the inner product, or the squared distance.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        After `plot`.
    figure_ : matplotlib Figure
        After `plot`.

    See Also
    --------
    distance_contributions : The share of each feature in the distance of a linear learner.

    Notes
    -----
    With parts :math:`u_i` and :math:`v_j` the embeddings are :math:`a = \sum_i u_i` and :math:`b = \sum_j
    v_j`. Place i of the first image gets :math:`u_i \cdot b`; both maps of the similarity add up to :math:`a
    \cdot b`. Of the distance it gets :math:`u_i \cdot (a - b)`, place j of the second :math:`v_j \cdot (b -
    a)`, and the two maps together add up to :math:`|a - b|^2`. `pairs` holds :math:`u_i \cdot v_j`. These
    sums are exact. What a single part means differs:

    - average pooling, linear maps, batch norm, unit length: the part is what the place gave, no more and no
      less, but for lengths, which are those of the whole image;
    - maximum: a channel's value goes to the place that it came from (shared by ties), though another place
      may stand ready just below; generalised mean: by the share of the power. Both are activation times
      derivative, of which Euler's theorem says that it adds up; taking a place away would change the value by
      less;
    - offsets (biases, a centre that is subtracted) belong to no place, and are spread evenly. An offset that
      all embeddings share makes all places alike; behind a step that centres, as MetricLearner or
      BatchNormNeck, the maps show what two images have in common beside what all have.

    A place is coloured where it lies on an even grid over the image. Its activation has looked at a wider
    region, the receptive field, and in transformers at all of the image.

    References
    ----------
    .. [1] A. Stylianou, R. Souvenir, R. Pless, "Visualizing deep similarity networks", IEEE Winter Conference
       on Applications of Computer Vision (WACV), 2019.
    .. [2] S. Zhu, T. Yang, C. Chen, "Visual explanation for deep metric learning", IEEE Transactions on Image
       Processing 30, 2021, pages 7593-7607.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric import DeepMetricLearner
    >>> from skmetric.inspection import SimilarityMapDisplay
    >>> digits = load_digits()
    >>> learner = DeepMetricLearner("small_resnet", max_epochs=1, random_state=0)
    >>> learner = learner.fit(digits.images[:200], digits.target[:200])
    >>> display = SimilarityMapDisplay.from_estimator(learner, digits.images[0], digits.images[10])
    >>> [grid.shape for grid in display.similarity_maps]
    [(2, 2), (2, 2)]
    >>> round(float(display.pairs.sum()), 6), round(float(display.inner_product), 6)
    (0.929637, 0.929637)
    """

    def __init__(
        self, image_a: Any, image_b: Any, parts_a: np.ndarray, parts_b: np.ndarray, kind: str = "similarity"
    ) -> None:
        self.image_a = image_a
        self.image_b = image_b
        self.parts_a = parts_a
        self.parts_b = parts_b
        self.kind = kind

    @classmethod
    def from_estimator(
        cls, estimator: Any, image_a: Any, image_b: Any, *, kind: str = "similarity", ax: Any = None
    ) -> Self:
        """Take apart what two images have in common, and draw it.

        Parameters
        ----------
        estimator : DeepMetricLearner, FrozenFeatures, pipeline of one and further steps, or SimilaritySearch
            Fitted on images. Steps after the network must be affine, as PCA, StandardScaler and linear
            learners are, or scale rows to unit length, as Normalizer does.
        image_a, image_b : array, path or PIL image
            One image each, as the estimator takes them.
        kind : {"similarity", "distance"}, default="similarity"
            What to colour by.
        ax : array of two matplotlib Axes, default=None
            Where; None makes a figure.

        Returns
        -------
        SimilarityMapDisplay
            Drawn.

        Raises
        ------
        TypeError
            If there is no network on images.
        ValueError
            If the embedding is no sum over places: the message names the layer or step that stands in the
            way.
        """
        for step in steps_of(estimator):
            check_is_fitted(step)
        first, second = (image_parts(estimator, image) for image in (image_a, image_b))
        return cls(first[0], second[0], first[1], second[1], kind).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        image_a: Any,
        image_b: Any,
        parts_a: np.ndarray,
        parts_b: np.ndarray,
        *,
        kind: str = "similarity",
        ax: Any = None,
    ) -> Self:
        """Draw parts of embeddings that are known already.

        Parameters
        ----------
        image_a, image_b : array of shape (H, W), (H, W, 3) or (3, H, W), PIL image or path
            One picture each.
        parts_a, parts_b : array-like of shape (n_rows, n_columns, n_components)
            What each place gives to the embedding.
        kind : {"similarity", "distance"}, default="similarity"
            What to colour by.
        ax : array of two matplotlib Axes, default=None
            Where; None makes a figure.

        Returns
        -------
        SimilarityMapDisplay
            Drawn.

        Raises
        ------
        ValueError
            If parts are not of such shapes, or not finite.
        """
        parts_a, parts_b = (
            _check_parts(parts, name) for parts, name in ((parts_a, "parts_a"), (parts_b, "parts_b"))
        )
        if parts_a.shape[2] != parts_b.shape[2]:
            raise ValueError(
                f"parts_a has {parts_a.shape[2]} components and parts_b {parts_b.shape[2]}: they must be of "
                "one embedding"
            )
        return cls(pixels(image_a), pixels(image_b), parts_a, parts_b, kind).plot(ax=ax)

    @property
    def inner_product(self) -> float:
        """Inner product of the two embeddings: of unit length, their cosine similarity."""
        return float(_whole(self.parts_a) @ _whole(self.parts_b))

    @property
    def distance(self) -> float:
        """Euclidean distance of the two embeddings."""
        return float(np.linalg.norm(_whole(self.parts_a) - _whole(self.parts_b)))

    @property
    def similarity_maps(self) -> tuple[np.ndarray, np.ndarray]:
        """Two arrays (n_rows, n_columns), each of which adds up to the inner product."""
        return self.parts_a @ _whole(self.parts_b), self.parts_b @ _whole(self.parts_a)

    @property
    def distance_maps(self) -> tuple[np.ndarray, np.ndarray]:
        """Two arrays (n_rows, n_columns), which together add up to the squared distance."""
        difference = _whole(self.parts_a) - _whole(self.parts_b)
        return self.parts_a @ difference, self.parts_b @ -difference

    @property
    def pairs(self) -> np.ndarray:
        """Inner product of each pair of places: (n_rows_a, n_columns_a, n_rows_b, n_columns_b)."""
        return np.einsum("hwd,ijd->hwij", self.parts_a, self.parts_b)

    def plot(
        self, ax: Any = None, *, kind: str | None = None, point: tuple[float, float] | None = None
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : array of two matplotlib Axes, default=None
            Where; None makes a figure.
        kind : {"similarity", "distance"}, default=None
            What to colour by; None takes the display's own kind. Blue brings the images nearer, red sets them
            apart. A line runs about where half of the strongest value is exceeded, dashed for red.
        point : tuple of (float, float), default=None
            Row and column in pixels of the first image: it is marked, and the second image shows what its
            places have in common with that one place. For the similarity only.

        Returns
        -------
        SimilarityMapDisplay
            The same.

        Raises
        ------
        ValueError
            If `kind` is unknown, or `point` lies outside the first image.
        """
        kind = self.kind if kind is None else kind
        if kind not in _KINDS:
            raise ValueError(f"kind must be 'similarity' or 'distance'; got {kind!r}")
        axes = panels_of(ax, 2, width=7.0, height=3.3, side_by_side=True)
        if point is None:
            maps, what = getattr(self, f"{kind}_maps"), _KINDS[kind]
        else:
            maps, what = (
                (None, self.pairs[self._place(point, kind)]),
                "part of the inner product, with the mark",
            )
        limit = max(float(np.abs(values).max()) for values in maps if values is not None) or 1.0
        sign = 1 if kind == "similarity" else -1
        images = self.image_a, self.image_b
        for axis, image, values, title in zip(axes, images, maps, ("first", "second"), strict=True):
            _draw(axis, image, None if values is None else sign * values, limit)
            axis.set_title(f"{title} image", fontsize="medium")
        if point is not None:
            axes[0].plot(*point[::-1], "x", color=BLACK, markersize=11, markeredgewidth=5)
            axes[0].plot(*point[::-1], "x", color="white", markersize=9, markeredgewidth=2)
        self._bar(axes, what, limit, sign)
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    def _place(self, point, kind):
        """Place of the grid that holds a pixel of the first image."""
        if kind != "similarity":
            raise ValueError("point goes with kind='similarity': a distance is no sum over pairs of places")
        sides = np.array(self.image_a.shape[:2])
        if not (np.asarray(point) >= 0).all() or not (np.asarray(point) < sides).all():
            raise ValueError(
                f"point={point!r} lies outside the first image, of {sides[0]} x {sides[1]} pixels"
            )
        return tuple((np.asarray(point) * self.parts_a.shape[:2] / sides).astype(int))

    def _bar(self, axes, what, limit, sign):
        """Scale of the colours, with what the maps add up to."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        colors = _palette() if sign > 0 else _palette().reversed()
        shown = ScalarMappable(Normalize(-limit, limit), colors)
        bar = axes[0].figure.colorbar(shown, ax=list(axes), shrink=0.85, pad=0.02)
        bar.ax.tick_params(labelsize="small")
        bar.formatter.set_powerlimits((-3, 3))
        whole = f"(inner product {self.inner_product:.3g}, distance {self.distance:.3g})"
        bar.set_label(f"{what}\n{whole}", fontsize="small")


def upsampled(values, shape):
    """Values of an even grid at the pixels of an image (H, W), linear between the middles of places."""
    scale = np.array(shape) / values.shape
    return zoom(np.asarray(values, dtype=float), scale, order=1, mode="nearest", grid_mode=True)


def _draw(ax, image, values, limit):
    """Picture in grey, and over it the map, if there is one; positive values are blue."""
    rgb = to_rgb(image, side=max(image.shape[:2]))
    height, width = rgb.shape[:2]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    ax.imshow(rgb.mean(axis=2), cmap="gray", vmin=0, vmax=255, extent=extent)
    ax.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])
    if values is None:
        return
    fine = max(1, 240 // max(height, width))  # small pictures get finer pixels, for smooth lines
    values = upsampled(values, (height * fine, width * fine))
    opacity = _SOLID * np.minimum(np.abs(values) / limit, 1)
    ax.imshow(values, cmap=_palette(), vmin=-limit, vmax=limit, alpha=opacity, extent=extent)
    x = (np.arange(width * fine) + 0.5) / fine - 0.5
    y = (np.arange(height * fine) + 0.5) / fine - 0.5
    for level, dash in ((_OUTLINED * limit, "-"), (-_OUTLINED * limit, "--")):
        if values.min() < level < values.max():
            ax.contour(x, y, values, [level], colors="white", linewidths=2.4, linestyles=dash)
            ax.contour(x, y, values, [level], colors=BLACK, linewidths=1.2, linestyles=dash)


def _palette():
    """Red, white, blue: what sets apart and what brings near, as misses and hits have them elsewhere."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("apart_near", [RED, "white", BLUE])


def _whole(parts):
    return parts.sum(axis=(0, 1))


def _check_parts(parts, name):
    parts = np.asarray(parts, dtype=float)
    if parts.ndim != 3 or not parts.size:
        raise ValueError(f"{name} must be (n_rows, n_columns, n_components); got shape {parts.shape}")
    if not np.isfinite(parts).all():
        raise ValueError(f"{name} has NaN or infinity")
    return parts
