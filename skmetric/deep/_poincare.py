"""The Poincaré ball: points of it, and distances between them. The one place for its maths.

The ball of curvature c has the radius 1 / sqrt(c).
"""

import torch

CURVATURE = 0.1
CLIP = 2.3
_SHORTEST = 1e-6
_RIM = 1e-5  # points nearer to the rim count as that far inside


def into_ball(embeddings, curvature=CURVATURE, clip=CLIP):
    """Shorten to `clip` (None: not at all), then the exponential map at the origin."""
    length = torch.linalg.vector_norm(embeddings, dim=1, keepdim=True).clamp_min(_SHORTEST)
    if clip is not None:
        embeddings = embeddings * (clip / length).clamp_max(1)
        length = length.clamp_max(clip)
    root = curvature**0.5
    return torch.tanh(root * length) / (root * length) * embeddings


def inside(points, curvature=CURVATURE):
    """How far inside the ball points (n, n_components) are: ``1 - c |u|²``, (n,), from the rim on."""
    return (1 - curvature * points.square().sum(1)).clamp_min(_RIM)


def from_chords(chords, inside_u, inside_v, curvature=CURVATURE):
    """Distances on the ball from Euclidean ones, elementwise.

    Written without the difference of nearly equal numbers that the usual arcosh has.
    """
    scaled = (curvature / (inside_u * inside_v)).sqrt() * chords
    return 2 / curvature**0.5 * torch.asinh(scaled)
