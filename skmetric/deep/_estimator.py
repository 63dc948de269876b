"""What the estimators around a network share: training in sessions, embedding, pickles without a GPU."""

from functools import partial

from skmetric._torch import resolve_device

from ._pickling import packed, unpacked
from ._training._assembly import embed
from ._training._callbacks import EpochTasks
from ._training._checkpoint import pack
from ._training._criterion import margin_of
from ._training._diagnosis import warn_of_failure
from ._training._loop import train


class NetworkMixin:
    """An estimator whose fitted ``module_`` embeds samples, with the parameters `device` and `precision`."""

    def _embed(self, X):
        compiled = getattr(self, "compile", False)
        return embed(self.module_, X, resolve_device(self.device), self.precision, compiled=compiled)

    def _train(self, open_session, state_of, X, y, *, n_epochs, keep):
        """Open a session, train, store what it ends with.

        Parameters
        ----------
        open_session : callable
            Without arguments; checks and reads everything before any work starts.
        state_of : callable
            From a session to the attributes that make the estimator usable, at any time.
        X, y : array-like
            As given to `fit`, for callbacks.
        n_epochs : int
            To train.
        keep : bool
            Whether to keep what training goes on from.

        Returns
        -------
        Session
            Its training is done, and the estimator has its state.
        """
        context = self._init_callback_context(max_subtasks=n_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        session = open_session()
        n_before = len(session.training.history)
        tasks = EpochTasks(self, context, X, y, fitted=partial(state_of, session))
        last = train(session.training, session.plan, session.validate, tasks)
        warn_of_failure(session.training.history[n_before:], margin_of(session.training.loss))
        vars(self).update(state_of(session))
        if keep:
            self._checkpoint = pack(session.training, last)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return session

    def __getstate__(self):
        """Give the state as it is pickled: equal estimators have equal pickles, which load without a GPU."""
        return packed(super().__getstate__())

    def __setstate__(self, state):
        """Put the modules together again, on the CPU."""
        super().__setstate__(unpacked(state))
