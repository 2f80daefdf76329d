"""A data frame with text and gaps: patients of whom 1 in 21 is hypothyroid, from pandas to `fit` and to `cross_val_score`.

Two ways to go. In Keras the frame goes into an `ArraySampler` as it is; text is looked up inside the net, and SMOTE-NC makes
new patients whose text is that of their neighbours. In scikit-learn a Pipeline fills, scales and numbers the columns, and
`SampledClassifier` resamples inside each fold, never the rows that are scored.

    python examples/tabular_frame.py
    python examples/tabular_frame.py --folds 10
"""

from functools import partial

from common import DATA, VERBOSE, at_least, parser_of, print_table, save

# isort: split
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from matplotlib import pyplot as plt
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import average_precision_score, precision_recall_fscore_support
from sklearn.model_selection import StratifiedKFold, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler

import keras_imbalance as ki
from keras_imbalance.plots import plot_precision_recall

tf.get_logger().setLevel(
    "ERROR"
)  # each fold has a net of its own, which TensorFlow takes for one traced again and again

NUMBERS = ["age", "tsh", "t3", "tt4", "t4u", "fti"]
SCORES = {"average_precision": "avg precision", "recall": "recall", "precision": "precision", "f1": "F1"}


def read_frame():
    """The patients: 6 columns of numbers, 17 of text, and the class. `tbg` is left out: nine of ten are missing."""
    frame = pd.read_csv(DATA / "hypothyroid.csv").drop(columns=["tbg", "tbg_measured"])
    return frame, [column for column in frame if column not in [*NUMBERS, "class"]]


def filled(frame, train, text):
    """No gaps, and numbers of mean 0 and deviation 1; median, mean and deviation are those of the rows `train`."""
    numbers = np.log1p(frame[NUMBERS])
    numbers = numbers.fillna(numbers.iloc[train].median())
    numbers = (numbers - numbers.iloc[train].mean()) / numbers.iloc[train].std()
    return pd.concat([numbers.astype("float32"), frame[text].fillna("unknown"), frame["class"]], axis=1)


def net_of(inputs, encoded, activation, units, loss):
    hidden = keras.layers.Concatenate()(encoded)
    for width in (32, 16):
        hidden = keras.layers.Dense(width, activation="relu")(hidden)
    net = keras.Model(inputs, keras.layers.Dense(units, activation=activation)(hidden))
    net.compile(keras.optimizers.Adam(2e-3), loss)
    return net


def build_net(frame, text):
    """A net whose inputs are the columns by name: numbers as they are, text one-hot."""
    inputs = {name: keras.Input((1,), name=name) for name in NUMBERS}
    inputs |= {name: keras.Input((1,), name=name, dtype="string") for name in text}
    encoded = [inputs[name] for name in NUMBERS]
    for name in text:
        words = sorted(frame[name].unique())
        encoded.append(keras.layers.StringLookup(vocabulary=words, output_mode="one_hot")(inputs[name]))
    return net_of(inputs, encoded, "sigmoid", 1, "binary_crossentropy")


def samplers(train, text, seed):
    options = {"batch_size": 64, "class_names": ["negative", "hypothyroid"], "seed": seed}
    yield "plain", ki.ArraySampler(train, "class", target="natural", **options)
    yield "balanced, repeats", ki.ArraySampler(train, "class", **options)
    yield "balanced, SMOTE-NC", ki.ArraySampler(train, "class", smote=ki.SMOTE(categorical=text), **options)


def in_keras(frame, text, epochs, seed):
    """Probabilities of each net on the test rows, and the training rows beside those that SMOTE-NC made in one epoch."""
    train, test = train_test_split(np.arange(len(frame)), test_size=0.4, stratify=frame["class"], random_state=seed)
    ready = filled(frame, train, text)
    test_rows = tf.data.Dataset.from_tensor_slices(dict(ready.drop(columns="class").iloc[test])).batch(1024)
    found = {}
    for name, sampler in samplers(ready.iloc[train], text, seed):
        keras.utils.set_random_seed(seed)
        net = build_net(ready, text)
        print(f"\n{name}\n{sampler.summary()}", flush=True)
        bar = ki.ShortBar("loss")
        net.fit(sampler.dataset(), epochs=epochs, shuffle=False, callbacks=[bar], verbose=VERBOSE)
        found[name] = net.predict(test_rows, verbose=0)[:, 0].astype("float64")
    y = (frame["class"].iloc[test] == "hypothyroid").to_numpy().astype("int32")
    return y, found, ready.iloc[train], made_by(sampler, ready.iloc[train])


def made_by(sampler, train):
    """The rows of an epoch that are no rows of the frame."""
    batches = [{name: column.numpy() for name, column in x.items()} for x, _ in sampler.dataset()]
    rows = pd.DataFrame({name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]})
    rows = rows.map(lambda cell: cell.decode() if isinstance(cell, bytes) else cell)
    real = set(map(tuple, train[NUMBERS].to_numpy()))
    return rows[[tuple(row) not in real for row in rows[NUMBERS].to_numpy()]]


def build_on_table(X, y, words):
    """A net on one table: the numbers first, then one column a text, numbered from 0."""
    inputs = keras.Input((X.shape[1],))
    encoded = [inputs[:, : len(NUMBERS)]]
    for position, size in enumerate(words, len(NUMBERS)):
        one_hot = keras.layers.CategoryEncoding(size, output_mode="one_hot")
        encoded.append(one_hot(inputs[:, position : position + 1]))
    return net_of(inputs, encoded, "softmax", y.shape[1], "categorical_crossentropy")


def in_scikit_learn(frame, text, arguments):
    """Scores of each sampling over the folds: everything that is learnt from rows is learnt inside the fold."""
    words = [sorted(frame[name].fillna("unknown").unique()) for name in text]
    table = make_column_transformer(
        (
            make_pipeline(FunctionTransformer(np.log1p), SimpleImputer(strategy="median"), StandardScaler()),
            NUMBERS,
        ),
        (
            make_pipeline(SimpleImputer(strategy="constant", fill_value="unknown"), OrdinalEncoder(categories=words)),
            text,
        ),
    )
    smote = ki.SMOTE(categorical=range(len(NUMBERS), len(NUMBERS) + len(text)))
    classifier = partial(
        ki.SampledClassifier,
        partial(build_on_table, words=[len(of_column) for of_column in words]),
        batch_size=64,
        epochs=arguments.epochs,
        seed=arguments.seed,
        fit_kwargs={"verbose": 0},
    )
    y = (frame["class"] == "hypothyroid").astype(int)
    folds = StratifiedKFold(arguments.folds, shuffle=True, random_state=arguments.seed)
    rows = []
    for name, options in {
        "plain": {"target": "natural"},
        "balanced, repeats": {},
        "balanced, SMOTE-NC": {"smote": smote},
    }.items():
        keras.utils.set_random_seed(arguments.seed)
        model = make_pipeline(table, classifier(**options))
        scores = cross_validate(model, frame.drop(columns="class"), y, cv=folds, scoring=list(SCORES))
        rows.append([name, *(f"{scores[f'test_{s}'].mean():.3f} ± {scores[f'test_{s}'].std():.3f}" for s in SCORES)])
    return rows


def draw(y, found, train, made):
    figure, axes = plt.subplots(1, 2, figsize=(12.5, 5), layout="constrained")
    for name, p in found.items():
        plot_precision_recall(y, p, class_names=["negative", "hypothyroid"], label=name, ax=axes[0])
    axes[0].set_title("Test rows")
    ill = train["class"] == "hypothyroid"
    for rows, colour, label in (
        (train[~ill], "0.8", "negative"),
        (made, "#e07b39", "made by SMOTE-NC"),
        (train[ill], "#1f4e79", "hypothyroid"),
    ):
        axes[1].scatter(rows["tsh"], rows["fti"], s=9, color=colour, label=f"{label}, {len(rows)} rows", linewidths=0)
    axes[1].set(xlabel="TSH, logarithm, standardized", ylabel="FTI, logarithm, standardized", title="Training rows")
    axes[1].legend()
    return figure


def main():
    parser = parser_of(__doc__, epochs=10)
    parser.add_argument("--folds", type=at_least(2), default=3, help="folds of the cross-validation")
    arguments = parser.parse_args()
    frame, text = read_frame()
    gaps = frame.isna().sum()
    print(f"{len(frame)} patients; gaps: {', '.join(f'{name} {count}' for name, count in gaps[gaps > 0].items())}")
    y, found, train, made = in_keras(frame, text, arguments.epochs, arguments.seed)
    rows = []
    for name, p in found.items():
        precision, recall, f1, _ = precision_recall_fscore_support(y, p > 0.5, average="binary", zero_division=0)
        rows.append([name, float(average_precision_score(y, p)), float(recall), float(precision), float(f1)])
    print(f"\nPatients that SMOTE-NC made, numbers standardized:\n\n{made[['age', 'tsh', 'fti', *text[:3]]].head(4)}")
    print_table(["test rows, ArraySampler", *SCORES.values()], rows)
    print_table(
        [f"{arguments.folds} folds, SampledClassifier", *SCORES.values()], in_scikit_learn(frame, text, arguments)
    )
    save(draw(y, found, train, made), arguments.output, "tabular_frame.png")


if __name__ == "__main__":
    main()
