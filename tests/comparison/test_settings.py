"""The code that `settings` prints runs, and gives the class shares, probabilities and decisions of the run it stands for."""

import functools

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from kerases import keras_3_only
from planted import PLAIN, drawn
from sklearn.neighbors import NearestNeighbors

import keras_imbalance as ki
from keras_imbalance import Method
from keras_imbalance._keras import keras
from keras_imbalance.comparison.catalogue import DEFAULT, MORE
from keras_imbalance.comparison.code import code_of, context_of, forms_of
from keras_imbalance.comparison.method import Run
from keras_imbalance.comparison.nets import built
from keras_imbalance.comparison.remedies import OBJECTIVES
from keras_imbalance.comparison.rows import data_of
from keras_imbalance.comparison.splits import Split
from keras_imbalance.comparison.training import _output_prior

pytestmark = [
    keras_3_only("compare_methods needs Keras 3"),
    pytest.mark.filterwarnings("ignore:`probabilities` have:UserWarning"),
]
KNOWN = {method.name: method for method in (*DEFAULT, *MORE)}
VOID = 255
COSTS = np.array([[0, 1, 1], [8, 0, 1], [9, 3, 0]])
OF_PRIOR = {"prior_of_use": np.array([0.3, 0.3, 0.4])}
OF_COST = {"metric": "cost", "cost_matrix": COSTS}
OF_TWO = {"prior_of_use": np.array([0.3, 0.7]), "metric": "cost", "cost_matrix": COSTS[:2, :2]}
# form of the rows, options of the run
CASES = {
    "classes": ("classes", {"cost_matrix": COSTS}),
    "prior": ("classes", {**OF_PRIOR, "cost_matrix": COSTS}),
    "cost": ("classes", OF_COST),
    "prior and cost": ("classes", {**OF_PRIOR, **OF_COST}),
    "one logit": ("one logit", {"cost_matrix": COSTS[:2, :2]}),
    "one logit, prior and cost": ("one logit", OF_TWO),
    "masks": ("masks", {"cost_matrix": COSTS}),
    "masks, prior and cost": ("masks", {**OF_PRIOR, **OF_COST}),
    "masks without void": ("full masks", {**OF_PRIOR, "cost_matrix": COSTS}),
    "labels": ("labels", {}),
}
DECISIONS = [name for name, method in KNOWN.items() if method.decide is not None and method.loss is None]


def rows_of(form):
    """Rows of two or three classes, masks with a void, or several labels."""
    if form in ("classes", "one logit"):
        return data_of(*drawn((220, 60, 40) if form == "classes" else (220, 100), 0))
    rng = np.random.default_rng(0)
    if form == "labels":
        y = (rng.random((240, 3)) < [0.4, 0.15, 0.1]).astype(int)
        return data_of(rng.normal(2.0 * y).astype("float32"), y, multi_label=True)
    y = rng.choice(3, size=(80, 3, 3), p=[0.7, 0.2, 0.1])
    y[(y == 2) & (np.arange(80) % 3 > 0)[:, None, None]] = 0  # not in every image
    x = rng.normal(1.5 * y)[..., None].astype("float32")
    if form == "full masks":
        return data_of(x, y)
    return data_of(x, np.where(rng.random(y.shape) < 0.1, VOID, y), ignore_class=VOID)


def build_model(x_train, channels=3):
    """A net that decides well before it is trained, with a learning rate of its own."""
    head = keras.layers.Dense(channels)
    model = keras.Sequential([keras.Input(x_train.shape[1:]), head])
    if x_train.shape[-1] == 3:
        head.set_weights([2 * np.eye(3), np.array([-2.5, -3.5, -4.0])])
    else:
        weights = ([[1.5]], [-1.9]) if channels == 1 else ([[0, 1.5, 3.0]], [0, -2.2, -5.5])
        head.set_weights([np.array(part) for part in weights])
    return model, keras.optimizers.Adam(0.01)


def case_of(name, epochs=1):
    """A run, the function that builds its net, and what the code of methods is written with."""
    form, options = CASES[name]
    data = rows_of(form)
    build = functools.partial(build_model, channels=1) if form == "one logit" else build_model
    split = Split(*np.split(np.arange(len(data.y)), [int(0.5 * len(data.y)), int(0.8 * len(data.y))]))
    run = Run(data, split, batch_size=8, epochs=epochs, seed=0, **options)
    model, optimizer = built(build, run.x)
    context = context_of(run, model, optimizer) | {"objective": OBJECTIVES.get(run.metric, "f1")}
    return run, build, context


def executed(code, run, build):
    """The names that the code leaves, run as it was pasted."""
    names = dict(zip(("x_validation", "y_validation"), run.validation, strict=True))
    names |= {"build_model": build, "x_train": run.x, "y_train": run.y, "cost_matrix": run.cost_matrix}
    keras.utils.set_random_seed(run.seed)
    exec(compile(code, "settings", "exec"), names)
    return names


def likeliest(p, several):
    return (p > 0.5).astype(int) if several else p.argmax(axis=-1)


def check_like_the_run(names, run, method, probabilities, shares):
    """Shares, probabilities and decisions are those of the run."""
    np.testing.assert_allclose(names["output_prior"], shares, rtol=1e-6)
    np.testing.assert_allclose(names["probabilities"], probabilities, atol=2e-4)
    labels, scored = run.data.labels(run.split.validation), run.data.scored(run.split.validation, probabilities)
    run.output_prior = shares
    rule = method.decide(run, scored, labels) if method.decide else lambda p: likeliest(p, run.data.multi_label)
    decided = np.asarray(rule(scored))
    ours = run.data.scored(run.split.validation, np.asarray(names["decided"]))
    assert np.mean(np.reshape(ours, decided.shape) != decided) <= 0.01  # rows at a threshold


def untrained(monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", lambda self, *data, **options: None)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_code_of_every_decision_decides_as_the_run(case, monkeypatch):
    untrained(monkeypatch)
    run, build, context = case_of(case)
    model, _ = build(run.x)
    logits = keras.ops.convert_to_numpy(model(run.validation[0])).astype(float)
    if run.data.multi_label:
        probabilities = 1 / (1 + np.exp(-logits))
    else:
        pair = np.insert(logits, 0, 0, axis=-1) if logits.shape[-1] == 1 else logits
        probabilities = np.exp(pair) / np.exp(pair).sum(axis=-1, keepdims=True)
    run.model = model
    decided = {}
    for name in ["plain", *DECISIONS]:
        method = KNOWN[name]
        if ("minimum cost" in name and run.data.multi_label) or ("macro" in name and run.data.multi_label):
            continue
        names = executed(code_of(method, context), run, build)
        check_like_the_run(names, run, method, probabilities, run.prior)
        decided[name] = np.asarray(names["decided"]).tolist()
    assert decided["plain, adjusted afterwards"] != decided["plain"]


@pytest.mark.parametrize("name", ["plain", "class_weight", "class-balanced loss", "DRW", "weighted loss", "LDAM-DRW"])
def test_the_shares_of_weighted_trainings_are_those_of_the_run(name, monkeypatch):
    untrained(monkeypatch)
    run, build, context = case_of("classes")
    run.model, _ = build(run.x)
    names = executed(code_of(KNOWN[name], context), run, build)
    part = {key: getattr(KNOWN[name], key) for key in ("loss", "callbacks", "class_weight")}
    loss, callbacks, weights = (None if given is None else given(run) for given in part.values())
    np.testing.assert_allclose(names["output_prior"], _output_prior(run, loss, callbacks or [], weights))


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (Method("focal", loss=lambda run: ki.FocalLoss(from_logits=True)), "\nloss = ...\n"),
        (Method("stop", callbacks=lambda run: []), "\ncallbacks = ...\n"),
        (Method("cw", class_weight=print, settings={"class_weight": "{0: 1, 1: 5, 2: 9}"}), "= {0: 1, 1: 5, 2: 9}\n"),
        (Method("own", train=print, decide=lambda run, p, y: None), "\npredict, output_prior = ...\n"),
        (Method("ros", sampler=RandomOverSampler()), "import RandomOverSampler\n"),
    ],
    ids=lambda given: getattr(given, "name", ""),
)
def test_the_code_of_ones_own_methods_can_be_read(method, said):
    code = code_of(method, case_of("classes")[2])
    compile(code, method.name, "exec")
    assert said in code


@pytest.mark.parametrize("resampler", [RandomOverSampler(), SMOTE(k_neighbors=NearestNeighbors(n_neighbors=4))])
def test_the_rows_of_imbalanced_learn_are_drawn_as_they_were(resampler, monkeypatch):
    untrained(monkeypatch)
    monkeypatch.setattr(ki.ArraySampler, "drawn_prior", np.full(3, 1 / 3))
    run, build, context = case_of("classes")
    sampler = executed(code_of(Method("own", sampler=resampler), context), run, build)["sampler"]
    assert len(set(sampler.class_counts.tolist())) == 1
    assert len(sampler) == -(-len(run.y) // run.batch_size)


NAMES = np.array(["worn", "ok", "broken"])  # in another order than sorted
LABELS = {
    "text": lambda y: pd.Series(NAMES[y], index=np.arange(len(y)) + 7),
    "categories": lambda y: pd.Series(NAMES[y]).astype("category"),
    "text frame": lambda y: pd.DataFrame({"state": NAMES[y]}),
    "one-hot": lambda y: pd.get_dummies(y),
    "(N, 1)": lambda y: y[:, None].astype("float32"),
    "ids": lambda y: y,
}


@pytest.mark.parametrize("labels", LABELS)
def test_the_code_takes_rows_and_labels_as_they_were_given(labels, monkeypatch):
    untrained(monkeypatch)
    x, y = drawn((220, 60, 40), 0)
    parts = np.split(np.arange(len(y)), [220])
    ids = np.argsort(np.argsort(NAMES))[y] if labels in ("text", "categories", "text frame") else y
    decided = []
    for rows, own in ((x, ids), (pd.DataFrame({"width": x[:, 0]}), LABELS[labels](y))):
        options = {"methods": [PLAIN], "class_names": None, "splits": 1, "epochs": 1, "batch_size": 8, "verbose": 0}
        found = ki.compare_methods(build_model, rows, own, **options)
        code = code_of(KNOWN["plain, tuned thresholds"], {**found.context, "objective": "balanced_accuracy"})
        names = {"build_model": build_model}
        for part, chosen in zip(("train", "validation"), parts, strict=True):
            names |= {f"x_{part}": rows[chosen[0] : chosen[-1] + 1], f"y_{part}": own[chosen[0] : chosen[-1] + 1]}
        exec(compile(code, "settings", "exec"), names)
        decided.append(names["decided"])
    np.testing.assert_array_equal(*decided)
    assert len(set(decided[0].tolist())) == 3


def test_the_code_takes_a_frame_with_text_as_the_net_does():
    frame, y = pd.DataFrame({"age": [1.0, 2.0, 3.0], "sex": ["f", "m", "f"]}), np.array([0, 1, 0])
    forms = forms_of(frame, y, data_of(frame, y))
    assert list(forms) == ["x_train", "x_validation"]
    text = forms_of(np.array(["a b", "c"]), y[:2], data_of(np.array(["a b", "c"]), y[:2]))
    assert eval(text["x_train"], {"np": np, "x_train": np.array(["a", "b c"])}).tolist() == ["a", "b c"]
    columns = eval(forms["x_train"], {"np": np, "x_train": frame})
    assert {name: column.tolist() for name, column in columns.items()} == frame.to_dict("list")


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", ["plain", "balanced sampling"])
def test_the_code_counts_the_tags_of_sequences(name, classes, monkeypatch):
    """Where rows hold 0 and 1 alone, they look like several labels."""
    untrained(monkeypatch)
    rng = np.random.default_rng(0)
    y = rng.choice(classes, size=(60, 5), p=[0.8, 0.15, 0.05][:classes] / np.sum([0.8, 0.15, 0.05][:classes]))
    x = rng.normal(size=(60, 5, 3)).astype("float32")

    def build(rows):
        return keras.Sequential([keras.Input((5, 3)), keras.layers.Dense(classes)])

    found = ki.compare_methods(build, x, y[..., None], methods=[PLAIN], splits=1, epochs=1, batch_size=8, verbose=0)
    monkeypatch.setattr(ki.ArraySampler, "drawn_prior", property(lambda sampler: sampler.distribution), raising=False)
    names = {"build_model": build, "x_train": x, "y_train": y[..., None], "x_validation": x}
    exec(compile(code_of(KNOWN[name], found.context), "settings", "exec"), names)
    np.testing.assert_array_equal(names["class_counts"], np.bincount(y.ravel()))
    if name == "balanced sampling":  # each of its rows as often as the sampler draws it
        rarest = np.array([min(set(row), key=np.bincount(y.ravel()).tolist().__getitem__) for row in y])
        times = names["sampler"].distribution[rarest] / np.bincount(rarest)[rarest]
        shares = np.array([(times[:, None] * (y == c)).sum() for c in range(classes)])
        np.testing.assert_allclose(names["output_prior"], shares / shares.sum())
