"""Matrices of distances and similarities, and arithmetic over the part of a matrix that a mask marks."""

import torch

LOW = -1e30  # stands for log(0): far below any logit, and yet sums and differences of it stay finite


class _Euclidean(torch.autograd.Function):
    """Exact distances, whose gradient is 0 where the distance is, in O(batch²) memory.

    ``torch.cdist`` alone loses digits of small distances where it uses a matrix product (beyond 25 rows), and
    its exact variant builds a (batch, batch, n_components) buffer in the backward pass on CUDA.
    """

    @staticmethod
    def forward(ctx, a, b):
        center = b.mean(0)
        a, b = a - center, b - center
        distances = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
        ctx.save_for_backward(a, b, distances)
        return distances

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        a, b, distances = ctx.saved_tensors
        with torch.autocast(a.device.type, enabled=False):
            weights = torch.where(distances > 0, gradient / distances, 0)  # (n_a, n_b)
            to_a = weights.sum(1, keepdim=True) * a - weights @ b
            to_b = weights.sum(0)[:, None] * b - weights.T @ a
        return to_a, to_b


def euclidean(a, b):
    """Distances (n_a, n_b) between rows."""
    return _Euclidean.apply(a, b)


def unit(embeddings: torch.Tensor):
    """Rows of length 1; a row shorter than 1e-6 stays short, so that its gradient stays bounded."""
    return torch.nn.functional.normalize(embeddings, dim=-1, eps=1e-6)


def cosine(a, b):
    """Cosines (n_a, n_b) between rows."""
    return unit(a) @ unit(b).T


def sine(cosines):
    """Sines of angles in [0, π] with these cosines; the gradient at 0 and π is 0 instead of infinite."""
    return (1 - cosines.square()).clamp_min(1e-7).sqrt()


def relations(labels: torch.Tensor, n_rows):
    """Positive and negative pairs (n_rows, n_columns); row i is column i, and no pair with itself."""
    same = labels[:n_rows, None] == labels[None]
    positive = same.clone()
    positive.fill_diagonal_(False)
    return positive, ~same


def relations_with(labels: torch.Tensor, others: torch.Tensor):
    """Positive and negative pairs (n_rows, n_others) of anchors with samples that none of them is among."""
    same = labels[:, None] == others[None]
    return same, ~same


def masked_mean(values, mask):
    """Mean of the values that `mask` marks; 0 if there are none."""
    return torch.where(mask, values, 0).sum() / mask.sum().clamp_min(1)


def masked_logsumexp(values, mask, dim: int = 1):
    """Log of the sum of exponentials of the marked values; about `LOW` if there are none."""
    return values.masked_fill(~mask, LOW).logsumexp(dim)


class _WithGradient(torch.autograd.Function):
    """Values whose gradients are already known."""

    @staticmethod
    def forward(ctx, tensor, value, gradient):
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        (gradient,) = ctx.saved_tensors
        return (upstream[:, None] if upstream.ndim else upstream) * gradient, None, None


def with_gradient(tensor: torch.Tensor, value, gradient: torch.Tensor):
    """`value`, a function of `tensor`, with the gradient worked out beside it.

    A scalar, or one number for each row of `tensor`, of which it is a function alone.
    """
    return _WithGradient.apply(tensor, value, gradient)
