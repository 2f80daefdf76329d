"""The line that `verbose` prints about class shares."""

import numpy as np
from dynamic_runs import sampler_of
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_imbalance import DynamicSampling
from keras_imbalance.callbacks.share_changes import describe_change

quick = settings(max_examples=60)


@quick
@given(st.integers(2, 300), st.integers(0, 5000), st.lists(st.text("abcdefgh ij", min_size=1, max_size=60), max_size=9))
def test_a_line_about_the_change_fits_100_columns(num_classes, epoch, names):
    random = np.random.default_rng(num_classes)
    before, after = (random.dirichlet(np.ones(num_classes)) for _ in range(2))
    names = [f"{i}{(names or [''])[i % max(len(names), 1)]}" for i in range(num_classes)]
    line = describe_change(epoch, names, before, after)
    assert len(line) <= 100
    assert "\n" not in line
    largest = int(np.argmax(np.abs(after - before)))
    assert f"{names[largest][:19]}"[:5] in line
    assert f"{after[largest]:.3f}"[1:] in line


def test_the_line_of_few_classes_is_whole(capsys):
    sampler = sampler_of(class_names=["ok", "worn", "broken"])
    logs = {f"val_f1/{name}": value for name, value in zip(sampler.class_names, [0.9, 0.5, 0.1], strict=True)}
    dynamic = DynamicSampling(sampler, floor=0, momentum=0, verbose=1)
    dynamic.on_epoch_end(4, logs)
    assert not capsys.readouterr().out  # fit may end here
    dynamic.on_epoch_begin(5)
    line = capsys.readouterr().out.strip()
    assert line == "Epoch 6: class shares ok .333 -> .067, worn .333 -> .333, broken .333 -> .600"


def test_the_line_says_what_is_drawn_where_repeats_are_limited(capsys):
    sampler = sampler_of(class_names=["ok", "worn", "broken"], max_repeats=2)
    logs = {f"val_f1/{name}": value for name, value in zip(sampler.class_names, [1.0, 1.0, 0.0], strict=True)}
    dynamic = DynamicSampling(sampler, floor=0.01, momentum=0, verbose=1)
    dynamic.on_epoch_end(0, logs)
    dynamic.on_epoch_begin(1)
    drawn = f"{sampler.distribution[2]:.3f}".removeprefix("0")
    assert 0.1 < sampler.distribution[2] < 0.9
    assert capsys.readouterr().out.strip().endswith(f"-> {drawn}")


def test_the_line_of_many_classes_says_what_it_leaves_out():
    before = np.full(100, 0.01)
    after = before.copy()
    after[[7, 40]] = [0.0, 0.02]
    line = describe_change(0, [f"class {i}" for i in range(100)], before, after)
    assert line.startswith("Epoch 1: class shares class 7 .010 -> .000, class 40 .010 -> .020, ")
    assert line.endswith(" that change less")
