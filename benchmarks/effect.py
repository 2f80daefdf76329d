"""What the methods do for rare classes: recall and F1 on test rows, over seeds, on page blocks and on a long-tailed MNIST.

Every method trains the same net from the same initial weights for the same epochs and steps, with Adam. The learning rate falls
to a tenth for the last fifth of the epochs. There begins also what a method keeps for the end: the natural distribution of
two-phase learning, the class weights of DRW, the new head of cRT, whose rate starts anew and falls by a cosine, as in its
paper. LDAM alone has another last layer, the cosines that it needs.

Nothing was tuned. What a method has to set is as in its paper or the default here: focal gamma 2, effective number beta 0.9999,
LDAM margin 0.5 and scale 30, logit adjustment tau 1, dynamic sampling floor and momentum 0.5. Two methods look at
validation rows of their own run: dynamic sampling for the F1 of each class, tau-normalisation for its tau. Test rows are read
once, at the end. The learning rate is Adam's default on MNIST and that of examples/page_blocks.py on page blocks.

Run: python -m benchmarks.effect
     python -m benchmarks.effect --data mnist --mnist FILE.npz
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # 2 has TensorFlow complain of its own datasets in every fit

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import f1_score, recall_score

import keras_imbalance as ki
from benchmarks.data import Rows, long_tailed_mnist, page_blocks
from benchmarks.timing import table, versions

BATCH = 64
LAST_PART = 0.2  # of the epochs
FALL = 0.1  # what the learning rate is multiplied with for them
TAUS = np.linspace(0, 1, 11)
PLAIN = "plain cross-entropy"
SCORES = ("macro recall", "macro F1", "worst-class recall")


@dataclass
class Data:
    """A data set and what the net for it is trained with."""

    title: str
    load: Callable[[int], Rows]
    body: Callable[[], list]  # the layers before the last
    epochs: int
    learning_rate: float


@dataclass
class Run:
    """What a method may use: the rows of one seed, and the schedule."""

    data: Data
    rows: Rows
    seed: int

    @property
    def counts(self):
        return ki.count_classes(self.rows.train[1], num_classes=self.rows.num_classes)

    @property
    def switch(self):
        """First epoch of the last part."""
        return round((1 - LAST_PART) * self.data.epochs)

    def sampler(self):
        return ki.ArraySampler(*self.rows.train, batch_size=BATCH, seed=self.seed)

    def falling_rate(self):
        return ki.PhasedTraining([ki.Phase(self.switch, learning_rate_factor=FALL)])


@dataclass
class Recipe:
    """How a method trains; without a sampler the rows come as they are, shuffled."""

    loss: Any
    callbacks: list
    sampler: Any = None
    head: Callable = keras.layers.Dense
    class_weight: dict | None = None


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def plain(run):
    return Recipe(cross_entropy(), [run.falling_rate()])


def keras_class_weight(run):
    weights = ki.class_weights(run.counts, scheme="balanced")
    return Recipe(cross_entropy(), [run.falling_rate()], class_weight=dict(enumerate(weights)))


def focal(run):
    return Recipe(ki.FocalLoss(gamma=2.0, from_logits=True), [run.falling_rate()])


def class_balanced_focal(run):
    inner = ki.FocalLoss(gamma=2.0, from_logits=True, reduction=None)
    loss = ki.ClassBalancedLoss(run.counts, scheme="effective_number", beta=0.9999, normalize="sum", loss=inner)
    return Recipe(loss, [run.falling_rate()])


def balanced_sampling(run):
    return Recipe(cross_entropy(), [run.falling_rate()], run.sampler())


def dynamic_sampling(run):
    sampler = run.sampler()
    dynamic = ki.DynamicSampling(sampler, validation_data=run.rows.validation)
    return Recipe(cross_entropy(), [dynamic, run.falling_rate()], sampler)


def two_phase(run):
    sampler = run.sampler()
    return Recipe(
        cross_entropy(), [ki.TwoPhaseLearning(sampler, switch_epoch=run.switch, learning_rate_factor=FALL)], sampler
    )


def classifier_retraining(run):
    sampler = run.sampler()
    steps = (run.data.epochs - run.switch) * sampler.num_batches
    rate = keras.optimizers.schedules.CosineDecay(run.data.learning_rate, steps)
    retraining = ki.ClassifierRetraining(
        sampler, switch_epoch=run.switch, head="logits", learning_rate=rate, seed=run.seed
    )
    return Recipe(cross_entropy(), [retraining], sampler)


def deferred_reweighting(run):
    loss = ki.ClassBalancedLoss(run.counts, scheme="inverse_frequency", from_logits=True)
    return Recipe(loss, [ki.DeferredReweighting(run.switch), run.falling_rate()])


def ldam_deferred_reweighting(run):
    callbacks = [ki.DeferredReweighting(run.switch), run.falling_rate()]
    return Recipe(ki.LDAMLoss(run.counts), callbacks, head=ki.CosineDense)


def logit_adjustment(run):
    return Recipe(ki.LogitAdjustedLoss(run.counts, from_logits=True), [run.falling_rate()])


METHODS = {
    PLAIN: plain,
    "Keras class_weight": keras_class_weight,
    "focal loss": focal,
    "class-balanced focal loss": class_balanced_focal,
    "balanced sampling": balanced_sampling,
    "dynamic sampling": dynamic_sampling,
    "two-phase learning": two_phase,
    "cRT": classifier_retraining,
    "DRW": deferred_reweighting,
    "LDAM-DRW": ldam_deferred_reweighting,
    "logit adjustment": logit_adjustment,
}


def tau_normalised(model, run):
    """Test logits with the tau that does best on the validation rows; the smallest of equals."""
    head, (x, y) = model.get_layer("logits"), run.rows.validation
    trained, best = head.get_weights(), None
    for tau in TAUS:
        head.set_weights(trained)
        ki.tau_normalize(head, tau=tau)
        found = macro_recall(y, predict(model, x))
        if best is None or found > best[0]:
            best = found, tau
    head.set_weights(trained)
    ki.tau_normalize(head, tau=best[1])
    logits = predict(model, run.rows.test[0])
    head.set_weights(trained)  # the plain net again
    return logits


def adjusted_afterwards(model, run):
    """Test logits less the logarithm of the class prior."""
    correction = ki.PriorCorrection(run.counts, np.ones(run.rows.num_classes), from_logits=True)
    return keras.ops.convert_to_numpy(correction(predict(model, run.rows.test[0])))


AFTERWARDS = {  # on the net of plain cross-entropy, without training
    "tau-normalisation of the plain net": tau_normalised,
    "logit adjustment of the plain net": adjusted_afterwards,
}


def train(recipe, run):
    keras.utils.set_random_seed(run.seed)
    shape = run.rows.train[0].shape[1:]
    layers = [*run.data.body(), recipe.head(run.rows.num_classes, name="logits")]
    model = keras.Sequential([keras.Input(shape), *layers])
    # Compiling each of these small steps with XLA takes longer than it saves.
    model.compile(keras.optimizers.Adam(run.data.learning_rate), recipe.loss, jit_compile=False)
    options = {"epochs": run.data.epochs, "callbacks": recipe.callbacks, "verbose": 0}
    if recipe.sampler is None:
        model.fit(*run.rows.train, batch_size=BATCH, class_weight=recipe.class_weight, **options)
    else:
        model.fit(recipe.sampler.dataset(), shuffle=False, **options)
    steps, expected = int(model.optimizer.iterations), run.data.epochs * -(-len(run.rows.train[1]) // BATCH)
    if steps != expected:
        raise RuntimeError(f"Every method must take {expected} steps. Received: {steps}.")
    return model


def predict(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def macro_recall(y, logits):
    return recall_score(y, logits.argmax(-1), average="macro")


def scores(y, logits):
    predicted = logits.argmax(-1)
    f1 = f1_score(y, predicted, average="macro", zero_division=0)
    return macro_recall(y, logits), f1, recall_score(y, predicted, average=None).min()


def measure(data, seeds, methods):
    """`{method: scores (seeds, 3)}`, with a line to stderr for each run; `methods` holds the plain net."""
    found = {}
    for seed in seeds:
        run = Run(data, data.load(seed), seed)
        for name in methods:
            start = time.perf_counter()
            model = train(METHODS[name](run), run)
            logits = {name: predict(model, run.rows.test[0])}
            if name == PLAIN:
                logits.update({after: apply(model, run) for after, apply in AFTERWARDS.items()})
            for which, values in logits.items():
                found.setdefault(which, []).append(scores(run.rows.test[1], values))
            spent = time.perf_counter() - start
            print(f"{data.title}, seed {seed}, {name}: {spent:.1f} s", file=sys.stderr, flush=True)
            keras.backend.clear_session()
    return {name: np.array(found[name]) for name in (*METHODS, *AFTERWARDS) if name in found}


def show(title, found):
    """Mean and standard deviation over the seeds, and what each method gains over the plain net of the same seed."""
    rows = []
    for name, values in found.items():
        gain = values[:, 0] - found[PLAIN][:, 0]
        above = f"{mean_and_spread(gain, '+')}, {(gain > 0).sum()} of {len(gain)}"
        rows.append((name, *map(mean_and_spread, values.T), "" if name == PLAIN else above))
    print(f"\n{title}\n\n{table(('method', *SCORES, 'macro recall above plain, in seeds'), rows)}", flush=True)


def mean_and_spread(values, sign=""):
    """As text; one seed has no spread."""
    spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{values.mean():{sign}.3f}{spread}"


def data_sets(mnist):
    dense, conv = keras.layers.Dense, keras.layers.Conv2D
    return {
        "page_blocks": Data(
            "page_blocks",
            page_blocks,
            lambda: [dense(32, activation="relu"), dense(16, activation="relu")],
            epochs=40,
            learning_rate=3e-3,
        ),
        "mnist": Data(
            "long-tailed MNIST",
            lambda seed: long_tailed_mnist(seed, mnist),
            lambda: [
                conv(16, 3, strides=2, activation="relu"),
                conv(32, 3, strides=2, activation="relu"),
                keras.layers.Flatten(),
                dense(64, activation="relu"),
            ],
            epochs=15,
            learning_rate=1e-3,
        ),
    }


def describe(data, seeds):
    """The heading of a table: rows, classes, epochs."""
    rows = data.load(seeds[0])
    counts = np.sort(ki.count_classes(rows.train[1], num_classes=rows.num_classes))
    return (
        f"{data.title}: {counts.sum()} training rows, {counts[-1]} to {counts[0]} a class, {len(rows.test[1])} test rows, "
        f"{data.epochs} epochs, {len(seeds)} seeds"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", choices=("page_blocks", "mnist", "both"), default="both")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... of the rows, the weights and the batches")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--mnist", type=Path, metavar="FILE", help="mnist.npz; by default Keras downloads it")
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME", help="some of them"
    )
    arguments = parser.parse_args()
    methods = [name for name in METHODS if name == PLAIN or name in arguments.methods]
    if arguments.seeds < 1 or arguments.first_seed < 0:
        parser.error(
            f"There must be at least one seed, from 0 on. Received: {arguments.seeds} from {arguments.first_seed}"
        )
    # One thread computes, so that sums have one order; nets this small gain nothing from more.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    chosen = data_sets(arguments.mnist)
    print(versions("keras-imbalance", "keras", "tensorflow", "scikit-learn", "numpy"), flush=True)
    for name, data in chosen.items():
        if arguments.data in (name, "both"):
            show(describe(data, seeds), measure(data, seeds, methods))


if __name__ == "__main__":
    main()
