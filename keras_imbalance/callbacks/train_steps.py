"""Values that hold while a model takes a train step, and nowhere else."""

from typing import Any

METHODS = ("train_step", "make_train_function")


class TrainSteps:
    """Gives attributes of other objects, such as the weights of a loss, another value while `model` takes a train step.

    Everywhere else they keep their own: in validation, in files that are saved meanwhile, after fit. It replaces the model's
    `train_step`, which Keras calls on every backend, by one that sets the values, takes the step, and sets the own values
    back. A compiled step has the values of the moment in which it was traced, so each change makes a new train function.

    A fit that is broken off tells nobody. Therefore `make_train_function` is replaced too: the next fit begins by calling it
    without `force`, which puts both methods back.

    Args:
        model: a compiled model.

    Attributes:
        ran: whether a train step of the model has run, or was traced, since the last change.
    """

    def __init__(self, model: Any):
        self._model = model
        self._plain = {name: getattr(model, name) for name in METHODS}
        self._of_instance = {name: vars(model)[name] for name in METHODS if name in vars(model)}
        self._values: dict[tuple, tuple] = {}
        self.ran = False

    @staticmethod
    def of(model: Any) -> "TrainSteps":
        """The one that acts on `model` now, or a new one."""
        owner = getattr(model.make_train_function, "__self__", None)
        return owner if isinstance(owner, TrainSteps) else TrainSteps(model)

    def changes(self, owner: Any, attribute: str) -> bool:
        """Whether the attribute has another value in train steps."""
        return (id(owner), attribute) in self._values

    def set(self, owner: Any, **values: Any) -> None:
        """From the next train step on, these attributes of `owner` have these values there."""
        for attribute, value in values.items():
            *_, own = self._values.get((id(owner), attribute), (getattr(owner, attribute),))
            self._values[id(owner), attribute] = (owner, attribute, value, own)
        self._install()

    def drop(self, owner: Any, *attributes: str) -> None:
        """From the next train step on, these attributes have their own values there as well."""
        for attribute in attributes:
            self._values.pop((id(owner), attribute), None)
        if self._values:
            self._install()
        else:
            self.make_train_function()

    def make_train_function(self, force: bool = False) -> Any:
        """Replaces the method of the model. Without `force` a fit begins, and all values are left over from an older one."""
        if not force:
            self._values.clear()
            self._uninstall()
        return self._plain["make_train_function"](force=True)

    def _install(self):
        plain = self._plain["train_step"]

        # A new function each time, since JAX does not trace one that it knows again.
        def train_step(*args, **kwargs):
            self.ran = True
            self._assign(own=False)
            try:
                outputs = plain(*args, **kwargs)
            finally:
                self._assign(own=True)
            return outputs

        self.ran = False
        self._model.train_step = train_step
        self._model.make_train_function = self.make_train_function
        self._plain["make_train_function"](force=True)

    def _uninstall(self):
        for name in METHODS:
            if name in self._of_instance:
                setattr(self._model, name, self._of_instance[name])
            elif name in vars(self._model):
                delattr(self._model, name)

    def _assign(self, own):
        for owner, attribute, value, own_value in self._values.values():
            setattr(owner, attribute, own_value if own else value)
