"""From the parameters of an estimator to the network that is trained: a trunk and what follows it."""

import copy
import inspect

import torch
from torch import nn

from skmetric._backbone._build import brightness
from skmetric._backbone._weights import is_file, load_weights
from skmetric._torch import evaluating, without_wrapper
from skmetric.deep.modules import MLP, Conv4, L2Normalize, LinearMap, PoincareBall, SmallResNet, TutorialConv

from ._closed_form import fit_closed_form, map_behind
from ._compile import without_compiled
from ._example import Example
from ._trunk import InputNormalize, Pool, build_timm

MODULES = {
    "mlp": MLP,
    "linear": LinearMap,
    "conv4": Conv4,
    "tutorial_conv": TutorialConv,
    "small_resnet": SmallResNet,
}


class Network(nn.Sequential):
    """A trunk, perhaps after the normalisation of its input, and layers behind it.

    Frozen parts stay in evaluation mode while the others train: else batch norm would go on measuring.
    """

    __jit_unused_properties__ = ["normalises", "trunk"]  # else torch.jit.script compiles them, and fails

    def __init__(self, *parts):
        super().__init__(*parts)
        self.frozen_weights: tuple[str, ...] = ()  # names in the trunk, of weights that `freeze` holds still
        self.frozen_parts: tuple[str, ...] = ()  # and of parts; "" is the whole trunk

    @property
    def trunk(self):
        """The part that `module` describes."""
        return self[1] if self.normalises else self[0]

    @property
    def normalises(self):
        """Whether the network normalises its input itself."""
        return isinstance(self[0], InputNormalize)

    def still(self):
        """Parts that are frozen."""
        return [self.trunk.get_submodule(name) for name in self.frozen_parts]

    def train(self, mode=True):
        """Set the mode of all parts but the frozen ones."""
        super().train(mode)
        for part in self.still():
            part.eval()
        return self


def build_network(
    module,
    input_shape,
    n_components=None,
    *,
    normalize=True,
    pooling=None,
    weights="pretrained",
    model_kwargs=None,
    mean=None,
    std=None,
    ball=None,
):
    """Get a network of one's own that maps a batch to embeddings.

    Parameters
    ----------
    module : str, nn.Module or callable
        Name in `MODULES` or "auto", or one of timm; a network, which is copied; or what makes one of an input
        shape.
    input_shape : tuple of int, or Example
        (n_features,) or (C, H, W); or a batch of collated samples.
    n_components : int, default=None
        Dimension of the embedding; None takes what the network gives.
    normalize : bool, default=True
        Append a layer that scales rows to unit length.
    pooling : {"avg", "max", "gem", "cls"}, default=None
        Append a layer that pools maps or tokens.
    weights : str, path-like or None, default="pretrained"
        A file is loaded into the trunk.
    model_kwargs : dict, default=None
        For what is built.
    mean, std : float or array-like of shape (n_channels,), default=None
        Of brightness from 0 to 1; a layer in front of the trunk normalises by them. None: as a timm network
        tells; other networks have no such layer, unless one of the two is given.
    ball : dict, default=None
        Settings of a :class:`~skmetric.deep.modules.PoincareBall`, appended in place of `normalize`.

    Returns
    -------
    network : Network
        In float32, on the CPU.
    n_components : int
        Dimension of its output.

    Raises
    ------
    ValueError
        If it fails on a batch of this shape, or gives anything but (batch, n_components).
    """
    parts, is_trunk = _make(
        module, input_shape, n_components, pooling, weights, model_kwargs or {}, mean, std
    )
    named = _named(module)
    output = _probe(parts, input_shape, named)
    if pooling is not None:
        parts.append(_pool(parts[-1], output, pooling, named))
        output = parts[-1](output)
    given = _check_rows(output, input_shape, named)
    if n_components is not None and is_trunk:
        parts.append(nn.Linear(given, n_components))
    elif n_components is not None and given != n_components:
        raise ValueError(
            f"n_components={n_components}, but module {named} gives {given}: leave "
            "n_components=None, or end the module with nn.Linear(..., n_components)"
        )
    if ball is not None:
        parts.append(PoincareBall(**ball))
    elif normalize:
        parts.append(L2Normalize())
    return Network(*parts).float(), n_components or given


def from_closed_form(rows, y, n_components, seed):
    """Network of rows: their closed form, the map that is trained, and the unit sphere.

    Parameters
    ----------
    rows, y : ndarray of shape (n_samples, n_features) and of shape (n_samples,)
        Samples that are trained on, and their classes.
    n_components : int or None
        Dimension of the embedding; None keeps the number of features.
    seed : int
        Draws the folds of the closed form.

    Returns
    -------
    network : Network
        It embeds as the closed form does until it is trained.
    n_components : int
        Dimension of its output.
    """
    closed_form = fit_closed_form(rows, y, seed=seed)
    behind = map_behind(closed_form, rows, n_components)
    return Network(closed_form, behind, L2Normalize()).float(), behind.out_features


def _make(module, input_shape, n_components, pooling, weights, model_kwargs, mean, std):
    """Layers up to the trunk, and whether it is a bare trunk, which takes a linear map behind it."""
    if isinstance(input_shape, Example):
        if isinstance(module, str):
            raise ValueError(
                f"module={module!r} is for images or rows of features, and X holds {input_shape}: pass a "
                "network that takes such batches, or a function that makes one"
            )
        if mean is not None or std is not None:
            raise ValueError(
                "mean and std are of the brightness of images, and X is collated: leave both None"
            )
    if isinstance(module, str):
        module = _by_shape(input_shape) if module == "auto" else module
        if module not in MODULES:
            names = ["auto", *sorted(MODULES)]
            return build_timm(module, input_shape, pooling, weights, model_kwargs, names, mean, std), True
        own = {} if n_components is None or pooling is not None else {"n_components": n_components}
        _check_kwargs(module, model_kwargs)
        network = MODULES[module](input_shape, **(own | model_kwargs))
    elif isinstance(module, nn.Module):
        if model_kwargs:
            raise ValueError("model_kwargs are for building a network; this module is built already")
        network = copy.deepcopy(without_wrapper(module))  # not the wrapper of torch.compile
    else:
        network = module(_shape_of(input_shape), **model_kwargs)
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"module={_named(module)} must return an nn.Module for input_shape={_shape_of(input_shape)}, "
            f"got {type(network).__name__}"
        )
    if any(isinstance(part, torch.jit.ScriptModule) for part in network.modules()):
        raise ValueError(
            f"module={_named(module)} is TorchScript, whose copies torch does not train: pass the nn.Module "
            "that it was made of"
        )
    network = without_compiled(network).float()
    network = load_weights(network, weights) if is_file(weights) else network
    return [*_normalisation(network, input_shape, mean, std), network], pooling is not None


def _normalisation(network, input_shape, mean, std):
    """A layer that normalises the input, where one is asked for."""
    if mean is None and std is None:
        return []
    given = "mean" if mean is not None else "std"
    if len(input_shape) != 3:
        raise ValueError(
            f"{given} is of the brightness of images, and X holds rows of features: leave it None"
        )
    mean, std = brightness(network, input_shape[0], mean=mean, std=std)
    return [InputNormalize(mean, std, channels_last=False)]


def _check_kwargs(name, model_kwargs):
    known = list(inspect.signature(MODULES[name]).parameters)[1:]
    strange = sorted(set(model_kwargs) - set(known))
    if strange:
        raise ValueError(f"model_kwargs has {strange}, but module {name!r} takes {known} alone")


def _by_shape(input_shape):
    return "mlp" if len(input_shape) == 1 else "conv4"


def _probe(parts, input_shape, named):
    """Output for a batch of zeros, or for an example."""
    network, is_example = nn.Sequential(*parts), isinstance(input_shape, Example)
    with evaluating(network), torch.no_grad():
        try:
            return network(
                input_shape.batch if is_example else torch.zeros(2, *input_shape, dtype=torch.float32)
            )
        except Exception as error:  # whatever layers raise
            raise ValueError(f"module {named} fails on {_batch(input_shape)}: {error}") from error


def _shape_of(input_shape):
    return input_shape.shape if isinstance(input_shape, Example) else input_shape


def _batch(input_shape):
    """A batch that a network is tried on, in words."""
    if isinstance(input_shape, Example):
        return f"a batch of {input_shape.n} {input_shape}"
    return f"a batch of shape {(2, *input_shape)}"


def _pool(trunk, output, pooling, named):
    """Layer that pools what the trunk gives."""
    if not isinstance(output, torch.Tensor) or output.ndim not in (3, 4):
        raise ValueError(
            f"pooling={pooling!r} needs feature maps (batch, C, H, W) or tokens (batch, n_tokens, C), but "
            f"module {named} gives {_shape(output)}: leave pooling=None"
        )
    return Pool.after(trunk, pooling)


def _check_rows(output, input_shape, named):
    """Width of an output, which must be a vector for each sample."""
    n = input_shape.n if isinstance(input_shape, Example) else 2
    if not isinstance(output, torch.Tensor) or output.ndim != 2 or len(output) != n:
        raise ValueError(
            f"module {named} must give (batch, n_components), a vector for each sample; for "
            f"{_batch(input_shape)} it gives {_shape(output)}: pool its maps by pooling='avg', or end "
            "it with nn.Flatten()"
        )
    return output.shape[1]


def _shape(output):
    return tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__


def _named(module):
    return repr(module) if isinstance(module, str) else getattr(module, "__name__", type(module).__name__)
