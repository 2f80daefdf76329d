"""Which remedy helps on the page blocks: eight methods side by side on three splits, in under a minute on two cores.

Every method trains the same net from the same initial weights for as many steps. The table says what each gains over plain
training, and which cannot be told apart from the best; then comes the code of the method that the validation rows choose.

    python examples/which_remedy.py
    python examples/which_remedy.py --splits 5 --methods all --jobs 2
    python examples/which_remedy.py --directory trained      goes on there after a kill
"""

from pathlib import Path

from common import at_least, page_blocks, parser_of, save

# isort: split
import keras

import keras_imbalance as ki

METHODS = [
    "plain",
    "class_weight",
    "balanced sampling",
    "matched pair",
    "plain, adjusted afterwards",
    "plain, adjusted to n^.75",
    "plain, macro-F1 decision",
    "matched pair, macro-F1 decision",
]


def build_model(x_train):
    """A small net and its optimizer; its scaler is adapted on training rows alone."""
    scaler = keras.layers.Normalization()
    scaler.adapt(x_train)
    model = keras.Sequential(
        [
            keras.Input(x_train.shape[1:]),
            scaler,
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(5),
        ]
    )
    return model, keras.optimizers.Adam(3e-3, use_ema=True, ema_momentum=0.98)


def parse_arguments():
    parser = parser_of(__doc__, epochs=15)
    parser.add_argument("--splits", type=at_least(1), default=3, help="random splits, by class")
    parser.add_argument(
        "--methods", choices=("some", "all"), default="some", help="eight methods, or all of the package"
    )
    parser.add_argument("--jobs", type=at_least(1), default=1, help="trainings at a time")
    parser.add_argument("--directory", type=Path, help="folder of the trainings, to go on with after a kill")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    x, y, names = page_blocks()
    counts = ki.count_classes(y)
    print(f"Before any training:\n\n{ki.recommend(counts, objective='recall')}")
    found = ki.compare_methods(
        build_model,
        x.astype("float32"),
        y,
        class_names=names,
        methods=METHODS if arguments.methods == "some" else "default",
        epochs=arguments.epochs,
        batch_size=64,
        splits=arguments.splits,
        n_jobs=arguments.jobs,
        directory=arguments.directory,
        seed=arguments.seed,
    )
    print(f"\nTest rows, mean of {arguments.splits} splits\n\n{found.table()}\n")
    print(f"To go on with: {found.best().name}\n\n{found.settings()}")
    save(found.plot(), arguments.output, "which_remedy.png")


if __name__ == "__main__":
    main()
