"""The state of an estimator as it is pickled: modules as arrays, functions without a name by value."""

import pickle

from joblib import wrap_non_picklable_objects
from torch import nn

from skmetric._torch import PackedModule, pack_module, unpack_module


def packed(state):
    """Pack each module once: equal states then have equal pickles, which load without a GPU.

    Parameters
    ----------
    state : dict
        Attributes of an estimator.

    Returns
    -------
    dict
        The same in a form that pickle takes.
    """
    modules = {id(value): pack_module(value) for value in state.values() if isinstance(value, nn.Module)}
    state = {name: modules.get(id(value), value) for name, value in state.items()}
    return {name: _by_value(value) if _may_hold_code(value) else value for name, value in state.items()}


def unpacked(state):
    """Put the modules of a packed state together again, on the CPU."""
    modules = {id(v): unpack_module(v) for v in state.values() if isinstance(v, PackedModule)}
    return {name: modules.get(id(value), value) for name, value in state.items()}


def _may_hold_code(value):
    listed = type(value) in (list, tuple) and any(
        map(callable, value)
    )  # several augmentations, a loss and a miner
    return isinstance(value, PackedModule) or callable(value) or listed


def _by_value(value):
    """What pickle does not take, such as a lambda or a module that holds one, as what pickles by value."""
    try:
        pickle.dumps(value._replace(arrays=[]) if isinstance(value, PackedModule) else value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return wrap_non_picklable_objects(value, keep_wrapper=False)
    return value
