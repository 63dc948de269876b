"""The Poincaré ball: points of it, and distances between them. The one place for its maths.

The ball of curvature c has the radius 1 / sqrt(c).
"""

import torch

CURVATURE = 0.1
CLIP = 2.3
_SHORTEST = 1e-6
_RIM = 1e-5  # points nearer to the rim count as that far inside


def into_ball(
    embeddings: torch.Tensor,
    curvature: float = CURVATURE,
    clip: float | None = CLIP,
    shortest: float = _SHORTEST,  # as an argument, for TorchScript takes no number from outside
) -> torch.Tensor:
    """Shorten to `clip` (None: not at all), then the exponential map at the origin."""
    length = torch.linalg.vector_norm(embeddings, dim=1, keepdim=True).clamp_min(shortest)
    if clip is not None:
        embeddings = embeddings * (clip / length).clamp_max(1)
        length = length.clamp_max(clip)
    root = curvature**0.5
    return torch.tanh(root * length) / (root * length) * embeddings


def inside(points: torch.Tensor, curvature: float = CURVATURE) -> torch.Tensor:
    """How far inside the ball points (n, n_components) are: ``1 - c |u|²``, (n,), from the rim on."""
    return (1 - curvature * points.square().sum(1)).clamp_min(_RIM)


def from_chords(
    chords: torch.Tensor, inside_u: torch.Tensor, inside_v: torch.Tensor, curvature: float = CURVATURE
) -> torch.Tensor:
    """Distances on the ball from Euclidean ones, elementwise.

    Written without the difference of nearly equal numbers that the usual arcosh has.
    """
    scaled = (curvature / (inside_u * inside_v)).sqrt() * chords
    return 2 / curvature**0.5 * torch.asinh(scaled)
