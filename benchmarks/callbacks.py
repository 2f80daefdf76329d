"""What callbacks cost an epoch: backups of a large net beside those of Keras, and sampling callbacks at many rows.

Run: python -m benchmarks.callbacks
"""

import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_imbalance as ki
from benchmarks.timing import interleaved, measuring, parser_of, ratios, table

WEIGHTS, ROWS, FEATURES, BATCH = 25_000_000, 1_000_000, 32, 1024
NONE, PEER = "no callback", "Keras BackupAndRestore"


def net(width, features):
    model = keras.Sequential(
        [
            keras.Input((features,)),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(3),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def fit(model, dataset, epochs, callbacks):
    """A function that fits some epochs with new callbacks, so that what begins and ends a fit is counted too."""
    return lambda: model.fit(dataset, shuffle=False, epochs=epochs, callbacks=callbacks(), verbose=0)


def measure_backups(rounds, weights):
    """An epoch of eight steps of a net with Adam's slots, and its backup."""
    width = int(weights**0.5)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(256, 32)).astype("float32"), rng.integers(0, 2, 256)
    folders = {kind: tempfile.mkdtemp() for kind in ("ours", "theirs")}
    sampler = ki.ArraySampler(x, y, batch_size=32, seed=0)
    kinds = {
        NONE: list,
        PEER: lambda: [keras.callbacks.BackupAndRestore(folders["theirs"])],
        "BackupAndRestore": lambda: [ki.BackupAndRestore(folders["ours"], state=[sampler])],
    }
    nets = {name: net(width, 32) for name in kinds}
    steps = {name: fit(nets[name], sampler.dataset(), 1, callbacks) for name, callbacks in kinds.items()}
    seconds = interleaved(steps, rounds, repeats=1, warmup=2)
    count = nets[NONE].count_params()
    show(f"an epoch of 8 steps, {count / 1e6:.0f} million weights and their slots", seconds, PEER)


def measure_sampling(rounds, rows):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, FEATURES)).astype("float32"), rng.choice(3, rows, p=(0.90, 0.09, 0.01))
    held_out = x[:1000], y[:1000]

    def kinds(sampler):
        return {
            NONE: list,
            "DynamicSampling": lambda: [ki.DynamicSampling(sampler, validation_data=held_out)],
            "TwoPhaseLearning": lambda: [ki.TwoPhaseLearning(sampler, switch_epoch=1)],
            "BackupAndRestore": lambda: [ki.BackupAndRestore(tempfile.mkdtemp(), state=[sampler])],
            "all three": lambda: [
                ki.DynamicSampling(sampler, validation_data=held_out, end_epoch=1),
                ki.TwoPhaseLearning(sampler, switch_epoch=1),
                ki.BackupAndRestore(tempfile.mkdtemp(), state=[sampler]),
            ],
        }

    steps = {}
    for name in kinds(None):
        sampler = ki.ArraySampler(x, y, batch_size=BATCH, seed=0)
        steps[name] = fit(net(64, FEATURES), sampler.dataset(), 2, kinds(sampler)[name])
    show(f"two epochs of {rows:,} rows", interleaved(steps, rounds, repeats=1, warmup=1), NONE)


def show(title, seconds, base):
    compared = ratios(seconds, base)
    shown = [(name, f"{np.median(values):.2f}", compared[name]) for name, values in seconds.items()]
    print("\n" + table((title, "seconds", f"of {base}: median (quartiles)"), shown), flush=True)


def main():
    parser = parser_of(__doc__, rounds=9)
    parser.add_argument("--weights", type=int, default=WEIGHTS, help="of the net that is backed up")
    parser.add_argument("--rows", type=int, default=ROWS, help="that are sampled from")
    arguments = parser.parse_args()
    with measuring(arguments, "keras", "tensorflow", "numpy"):
        measure_backups(arguments.rounds, arguments.weights)
        measure_sampling(max(arguments.rounds // 3, 3), arguments.rows)


if __name__ == "__main__":
    main()
