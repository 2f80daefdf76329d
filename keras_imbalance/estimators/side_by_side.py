"""Members trained in one graph."""

from collections.abc import Sequence
from typing import Any

from keras_imbalance._core import invalid
from keras_imbalance._keras import Input, Model, graph_ends, logged_loss, tree, without_compilation


def of_member(nest: Any, member: int) -> Any:
    """What belongs to one member in batches `(B, M, ...)`, or None of None."""
    return None if nest is None else tree.map_structure(lambda leaf: leaf[:, member], nest)


class SideBySide(Model):
    """All members in one model: batches `(B, M, ...)` in, each member sees its own; the loss is the sum of theirs.

    No weight is shared, so the gradient of each is that of its own member's loss.

    Args:
        members: compiled members with inputs of the same shapes.
    """

    def __init__(self, members: Sequence[Any]):
        first, _ = graph_ends(members[0])
        inputs = tree.map_structure(
            lambda part: Input((len(members), *part.shape[1:]), dtype=part.dtype, name=part.name), first
        )
        outputs = [without_compilation(member, f"member_{i}")(of_member(inputs, i)) for i, member in enumerate(members)]
        # A function hides the members from Keras, which has their layers from the graph already.
        self._members = lambda: members
        super().__init__(inputs=inputs, outputs=outputs)

    @property
    def metrics(self):
        found = {id(metric): metric for metric in super().metrics}
        found.update((id(metric), metric) for member in self._members() for metric in member.metrics)
        return list(found.values())

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        members = self._members()
        if len(self.losses) != sum(len(member.losses) for member in members):
            obstacle = "losses of activities, which on this backend reach only the model that is trained"
            raise invalid("joint", f"be False for members with {obstacle}", True)
        outputs = tree.flatten(y_pred)  # Keras makes no list of a single output
        return sum(
            logged_loss(member, of_member(x, i), of_member(y, i), outputs[i], of_member(sample_weight, i), training)
            for i, member in enumerate(members)
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        for i, (member, output) in enumerate(zip(self._members(), tree.flatten(y_pred), strict=True)):
            member.compute_metrics(of_member(x, i), of_member(y, i), output, of_member(sample_weight, i))
        return self.get_metrics_result()

    def get_metrics_result(self):
        results = [member.get_metrics_result() for member in self._members()]
        return {f"{i}/{key}": value for i, logs in enumerate(results) for key, value in logs.items()}
