"""Epochs as tasks of scikit-learn's callbacks: progress bars, monitors, requests to stop."""


class EpochTasks:
    """Announces each epoch to the callbacks of an estimator.

    Parameters
    ----------
    estimator : estimator
        Being fitted.
    context : sklearn.callback.CallbackContext
        Of the whole fit.
    X, y : array-like
        As given to `fit`.
    fitted : callable
        Returns the attributes that make the estimator usable as it is now.
    """

    def __init__(self, estimator, context, X, y, fitted):
        self.estimator, self.context, self.X, self.y, self.fitted = estimator, context, X, y, fitted

    def begin(self):
        """An epoch begins."""
        self.task = self.context.subcontext(task_name="epoch")
        self.task.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def end(self):
        """It ended; whether a callback asks to stop."""
        return self.task.call_on_fit_task_end(
            estimator=self.estimator, X=self.X, y=self.y, reconstruction_attributes=self.fitted
        )
