"""From a network's output to one vector an image."""

import torch

__all__ = ["POOLINGS", "places", "pool"]

POOLINGS = ("auto", "avg", "max", "gem", "cls")
_GEM_POWER = 3.0


def pool(output, pooling="auto", *, n_prefix=None, channels_last=False):
    """Pool maps and tokens over their places.

    Parameters
    ----------
    output : Tensor of shape (n, C), (n, C, H, W) or (n, n_tokens, C)
        Vectors, feature maps, or tokens of a transformer.
    pooling : {"auto", "avg", "max", "gem", "cls"}, default="auto"
        "auto" leaves vectors alone and averages the rest. "gem" is the generalised mean of power 3 [1]_.
        "cls" takes the first token; the others leave the prefix tokens out.
    n_prefix : int, default=None
        Tokens before those of the patches; None where the network does not tell: then all are pooled.
    channels_last : bool, default=False
        Maps are (n, H, W, C).

    Returns
    -------
    Tensor of shape (n, C)
        float32.

    Raises
    ------
    ValueError
        If the output has nothing to pool in this way.

    References
    ----------
    .. [1] F. Radenovic, G. Tolias, O. Chum, "Fine-tuning CNN image retrieval with no human annotation",
       TPAMI 2019, eq. 3.

    Examples
    --------
    >>> import torch
    >>> maps = torch.tensor([[[[1.0, 3.0]]]])  # one image, one channel, two places
    >>> pool(maps, "avg"), pool(maps, "max")
    (tensor([[2.]]), tensor([[3.]]))
    """
    output = output.float()
    if output.ndim not in (2, 3, 4):
        raise ValueError(
            f"the network's output has shape {tuple(output.shape)}: name a layer with maps or tokens"
        )
    if pooling == "cls":
        return _class_token(output, n_prefix)
    if output.ndim == 2:
        if pooling == "auto":
            return output
        raise ValueError(
            f"pooling={pooling!r} needs feature maps or tokens, and the output has shape "
            f"{tuple(output.shape)}: take pooling='auto', or name a layer before the network's own pooling"
        )
    return _POOL[pooling](places(output, n_prefix, channels_last))


def _class_token(output, n_prefix):
    if output.ndim != 3 or n_prefix == 0:
        raise ValueError(
            f"pooling='cls' needs a class token, and the output, of shape {tuple(output.shape)}, has none: "
            "take 'avg', 'max' or 'gem'"
        )
    return output[:, 0]


def places(output: torch.Tensor, n_prefix: int | None, channels_last: bool) -> torch.Tensor:
    """Values at each place of maps or tokens, (n, n_places, C); parameters as of :func:`pool`."""
    if output.ndim == 3:
        return output[:, 0 if n_prefix is None else n_prefix :]
    return output.flatten(1, 2) if channels_last else output.flatten(2).mT


def _average(places):
    return places.mean(1)


def _maximum(places):
    return places.amax(1)


def _generalised_mean(places):
    return places.clamp(min=1e-6).pow(_GEM_POWER).mean(1).pow(1 / _GEM_POWER)


_POOL = {"auto": _average, "avg": _average, "max": _maximum, "gem": _generalised_mean}
