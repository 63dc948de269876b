"""What follows training: the same on all classes, and a closed form behind the network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from skmetric.deep._network._closed_form import fit_closed_form
from skmetric.deep.modules import L2Normalize

from ._loop import train
from ._loss._diagnosis import warn_of_failure
from ._session import Call, Found, Session, Task, fitted_state, open_session

if TYPE_CHECKING:
    from skmetric.deep._estimator import NetworkMixin
    from skmetric.deep._network._network import Network


def may_retrain(task: Task) -> bool:
    """Whether a task trains twice if classes suffice."""
    return getattr(task, "retrains", False)


def on_all_classes(estimator: NetworkMixin, session: Session, call: Call, tasks: Any) -> Session:
    """Train a new network on all classes, for the number of epochs that was best for classes held out.

    Parameters
    ----------
    estimator : NetworkMixin
        Its parameters are read.
    session : Session
        That ended. It is kept if it held no classes out, or if somebody stopped it.
    call : Call
        What was asked.
    tasks : FitTasks
        Told about the epochs.

    Returns
    -------
    Session
        That ended, with the first as `before`; or the first.
    """
    training = session.training
    if training.best is None or training.stopped:
        return session
    data = session.task.undivided(session.data)
    if data is None:
        return session
    found = Found(training.best["epoch"], training.seed, data)
    again = open_session(estimator, session.task, call._replace(found=found))._replace(before=session)
    tasks.fitted = partial(fitted_state, again)
    train(again.training, again.plan, again.validate, tasks)
    warn_of_failure(again.training.history)
    return again


def add_head(session: Session) -> None:
    """Put the closed form of the embeddings that were trained on behind the network, if that is asked."""
    settings, training = session.task.settings, session.training
    if settings.head is None:
        return
    module, data = cast("Network", training.module), session.data
    rows = session.embedding(module, data.samples)
    closed_form = fit_closed_form(rows, data.codes, seed=training.seed, normalize=settings.normalize)
    module.extend([closed_form, L2Normalize()] if settings.normalize else [closed_form])
    module.to(next(module.parameters()).device).eval()
