"""Images from folders: the files, the order and the pixels of keras.utils.image_dataset_from_directory."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from kerases import keras_3_only, since_keras

from keras_imbalance import ArraySampler, ClassSampler
from keras_imbalance._keras import keras
from keras_imbalance.sampling.image_folder import stratified_split

oracle = keras_3_only("tf-keras's own function lacks pad_to_aspect_ratio, data_format and verbose")
COUNTS = {"broken": 3, "ok": 12, "worn": 5}


def write(path, rng, channels=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (int(rng.integers(5, 30)), int(rng.integers(5, 30)), channels)
    image = tf.constant(rng.integers(0, 256, shape), tf.uint8)
    encode = tf.io.encode_jpeg if path.suffix.lower() in (".jpg", ".jpeg") else tf.io.encode_png
    path.write_bytes(encode(image).numpy())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for name, count in COUNTS.items():
        for i in range(count):
            inner = Path(name) / "inner" if i == 2 else Path(name)
            write(root / inner / f"{i}{('.png', '.jpg', '.JPEG')[i % 3]}", rng)
        (root / name / "notes.txt").write_text("no image")
    (root / ".hidden").mkdir()
    return root


def keras_images(folder, **arguments):
    """What Keras gives: `{path: (image, label)}`, and the paths in order."""
    dataset = keras.utils.image_dataset_from_directory(
        folder, shuffle=False, batch_size=None, verbose=False, **arguments
    )
    images = zip(dataset.file_paths, dataset.as_numpy_iterator(), strict=True)
    return dict(images), dataset


def rows_of(sampler, dataset=None):
    """Image and label of every position of an epoch, and its path."""
    positions = [sampler.file_paths[row] for rows in shadow(sampler) for row in rows]
    batches = (sampler.dataset() if dataset is None else dataset).as_numpy_iterator()
    return list(zip(positions, (pair for x, y in batches for pair in zip(x, y, strict=True)), strict=True))


def shadow(sampler):
    """The row numbers that the next epoch of a sampler delivers, from a sampler of row numbers alone."""
    labels = np.array([sampler.class_names.index(_class_of(path, sampler)) for path in sampler.file_paths])
    other = ArraySampler(
        np.arange(len(labels)),
        labels,
        batch_size=sampler.batch_size,
        target=sampler.target,
        seed=sampler.seed,
        class_names=sampler.class_names,
    )
    return [rows for rows, _ in other.dataset().as_numpy_iterator()]


def _class_of(path, sampler):
    return next(name for name in sampler.class_names if name in Path(path).parts)


READ = [
    {},
    {"label_mode": "categorical", "image_size": (8, 12)},
    {"label_mode": "binary", "class_names": ["ok", "broken"], "color_mode": "grayscale", "image_size": 10},
    {"crop_to_aspect_ratio": True, "image_size": (9, 16), "interpolation": "bicubic"},
    {"pad_to_aspect_ratio": True, "image_size": (16, 9), "data_format": "channels_first"},
    {"crop_to_aspect_ratio": True, "image_size": (16, 9), "interpolation": "nearest", "data_format": "channels_first"},
    {"interpolation": "Area", "image_size": (7, 7)},
]


@oracle
@pytest.mark.parametrize("arguments", READ, ids=str)
def test_images_and_labels_are_those_of_keras(folder, arguments):
    expected, dataset = keras_images(folder, **arguments)
    sampler = ArraySampler.from_directory(folder, batch_size=6, seed=0, **arguments)
    assert sampler.file_paths == list(expected)
    assert sampler.class_names == dataset.class_names
    element = sampler.dataset().element_spec
    assert element == tf.nest.map_structure(
        lambda spec: tf.TensorSpec((None, *spec.shape), spec.dtype), dataset.element_spec
    )
    seen = rows_of(sampler)
    assert len(seen) == len(expected)
    for path, (image, label) in seen:
        np.testing.assert_allclose(image, expected[path][0], atol=1e-4)
        np.testing.assert_array_equal(label, expected[path][1])


@oracle
def test_images_with_four_channels(tmp_path):
    for i in range(4):
        write(tmp_path / str(i % 2) / f"{i}.png", np.random.default_rng(i), channels=4)
    expected, _ = keras_images(tmp_path, color_mode="rgba", image_size=4)
    for path, (image, _) in rows_of(ArraySampler.from_directory(tmp_path, color_mode="rgba", image_size=4, seed=0)):
        np.testing.assert_allclose(image, expected[path][0], atol=1e-4)


@oracle
def test_labels_of_ones_own_are_in_the_order_of_keras(folder):
    labels = (np.arange(20) % 3).tolist()
    expected, dataset = keras_images(folder, labels=labels)
    sampler = ArraySampler.from_directory(str(folder), labels=labels, seed=0, batch_size=5, target="natural")
    assert sampler.file_paths == dataset.file_paths
    assert sampler.class_names == dataset.class_names
    drawn = [
        (image.tobytes(), label)
        for x, y in sampler.dataset().as_numpy_iterator()
        for image, label in zip(x, y, strict=True)
    ]
    assert sorted(drawn) == sorted((image.tobytes(), label) for image, label in expected.values())


def test_shares_are_those_of_the_target_and_a_function_sees_decoded_images(folder):
    sampler = ArraySampler.from_directory(folder, image_size=4, batch_size=6, seed=0)
    assert sampler.class_counts.tolist() == list(COUNTS.values())

    def augment(image, label, repeats):
        return image + tf.cast(1000 * repeats, tf.float32), label

    batches = list(sampler.dataset(map_fn=augment, pass_repeats=True).as_numpy_iterator())
    assert [np.bincount(y, minlength=3).tolist() for _, y in batches[:3]] == [[2, 2, 2]] * 3
    assert batches[0][0].shape == (6, 4, 4, 3)
    assert max(x.max() for x, _ in batches) >= 2000  # 3 images of "broken" for 7 positions
    assert min(x.max() for x, _ in batches) < 2000


def test_a_file_that_is_not_drawn_is_not_opened(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    sampler = ArraySampler.from_directory(tmp_path, image_size=4, batch_size=3, epoch_size=6, seed=0)
    names = [_class_of(path, sampler) for path in sampler.file_paths]
    drawn = np.concatenate(list(ClassSampler(names, batch_size=3, epoch_size=6, seed=0)))
    assert len(set(drawn)) == 6
    for row in set(range(len(sampler.file_paths))) - set(drawn.tolist()):
        Path(sampler.file_paths[row]).write_bytes(b"no image")
    assert sum(len(labels) for _, labels in sampler.dataset().as_numpy_iterator()) == 6
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(sampler.dataset())  # the second epoch draws others


@oracle
@since_keras("3.15", "it follows links although it is told not to")
def test_links_are_followed_where_asked(folder, tmp_path):
    (tmp_path / "ok").mkdir()
    (tmp_path / "ok" / "link").symlink_to(folder / "worn", target_is_directory=True)
    for name in ("ok", "worn"):
        write(tmp_path / name / "0.png", np.random.default_rng(0))
    for follow, count in ((False, 1), (True, 6)):
        sampler = ArraySampler.from_directory(tmp_path, follow_links=follow, seed=0)
        dataset = keras.utils.image_dataset_from_directory(tmp_path, shuffle=False, follow_links=follow, verbose=False)
        assert sampler.file_paths == dataset.file_paths
        assert sampler.class_counts.tolist() == [count, 1]


def test_the_split_is_stratified_and_both_is_the_two_halves(folder):
    split = {"validation_split": 0.3, "seed": 5, "image_size": 4, "batch_size": 4}
    train, validate = ArraySampler.from_directory(folder, subset="both", **split)
    for subset, half in (("training", train), ("validation", validate)):
        assert ArraySampler.from_directory(folder, subset=subset, **split).file_paths == half.file_paths
    assert sorted(train.file_paths + validate.file_paths) == sorted(ArraySampler.from_directory(folder).file_paths)
    assert validate.class_counts.tolist() == [1, 4, 1]
    assert validate.target == "natural"
    labels = np.concatenate([y for _, y in validate.dataset().as_numpy_iterator()])
    assert np.bincount(labels).tolist() == [1, 4, 1]
    assert train.target == "balanced"


@oracle
@pytest.mark.parametrize("subset", ["validation", "both", "a folder of its own"])
def test_validation_images_come_in_the_order_of_their_paths_in_every_epoch(folder, subset):
    split = {"validation_split": 0.6, "seed": 5, "image_size": 4}
    if subset == "a folder of its own":
        split, subset = {"image_size": 4}, "validation"
    sampler = ArraySampler.from_directory(folder, subset=subset, batch_size=5, **split)
    sampler = sampler[1] if subset == "both" else sampler
    expected, _ = keras_images(folder, image_size=(4, 4))
    for _ in range(2):
        images, labels = (np.concatenate(part) for part in zip(*sampler.dataset().as_numpy_iterator(), strict=True))
        for path, image, label in zip(sampler.file_paths, images, labels, strict=True):
            np.testing.assert_allclose(image, expected[path][0], atol=1e-4)
            assert label == expected[path][1]
    np.testing.assert_array_equal(sampler.class_ids, [expected[path][1] for path in sampler.file_paths])


def test_images_of_a_format_that_is_not_read_are_told(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "images")
    for name in ("a.WEBP", "b.tiff"):
        (tmp_path / "images" / "worn" / name).write_bytes(b"")
    with pytest.warns(UserWarning, match=r"2 of 7 images in .*worn are left out, such as a.WEBP"):
        sampler = ArraySampler.from_directory(tmp_path / "images")
    assert sampler.class_counts.tolist() == list(COUNTS.values())


def test_rows_in_order_are_divided_among_workers_and_repeated_where_asked(folder):
    split = {"validation_split": 0.6, "subset": "validation", "image_size": 4, "batch_size": 4, "seed": 5}
    shards = []
    for i in range(2):
        sampler = ArraySampler.from_directory(folder, **split)
        batches = sampler.dataset(num_shards=2, shard_index=i).as_numpy_iterator()
        shards.append([labels.tolist() for _, labels in batches])
    whole = [
        labels.tolist() for _, labels in ArraySampler.from_directory(folder, **split).dataset().as_numpy_iterator()
    ]
    assert [sorted(a + b) for a, b in zip(*shards, strict=True)] == whole
    sampler.target = "balanced"
    assert [labels.tolist() for _, labels in sampler.dataset().as_numpy_iterator()] == [[0] * 4, [1] * 4, [2] * 4]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=5).filter(any), st.floats(0.01, 0.99), st.integers(0, 9))
def test_a_split_takes_of_each_class_its_share_to_within_a_row(counts, share, seed):
    ids = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    train, validate = stratified_split(ids, share, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validate])), np.arange(len(ids)))
    assert len(validate) == int(share * len(ids))
    assert (np.abs(np.bincount(ids[validate], minlength=len(counts)) - share * np.array(counts)) < 1).all()


BAD = [
    ({"directory": 3}, "`directory` must be a path"),
    ({"directory": "not there"}, "`directory` must be a folder"),
    ({"class_names": ["ok", "wron"]}, "`class_names` must be names of the folders.*'worn'.*wron"),
    ({"labels": None}, "`labels` must"),
    ({"labels": [0, 1]}, "`labels` must hold the class of each of 20 images"),
    ({"label_mode": None}, "`label_mode` must"),
    ({"label_mode": "binary"}, "`label_mode` must be .*two classes"),
    ({"color_mode": "bgr"}, "`color_mode` must"),
    ({"image_size": (1, 2, 3)}, "`image_size` must be a height and a width"),
    ({"image_size": (0, 2)}, "`image_size` must"),
    ({"interpolation": "cubic"}, "`interpolation` must.*Did you mean 'bicubic'"),
    ({"interpolation": None}, "`interpolation` must"),
    ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "`pad_to_aspect_ratio` must be False where"),
    ({"data_format": "first"}, "`data_format` must"),
    ({"follow_links": "no"}, "`follow_links` must"),
    ({"validation_split": 1.0, "subset": "both"}, "`validation_split` must"),
    ({"validation_split": 0.2}, "`subset` must"),
    ({"subset": "training"}, "`subset` must be None, or 'validation'"),
    ({"validation_split": 0.2, "subset": "training"}, '`seed` must be given.*"both"'),
    ({"validation_split": 0.01, "subset": "both"}, "`validation_split` must leave an image"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[str(arguments) for arguments, _ in BAD])
def test_bad_input(folder, arguments, message):
    arguments = dict(arguments)
    with pytest.raises(ValueError, match=message):
        ArraySampler.from_directory(arguments.pop("directory", folder), **arguments)


def test_a_folder_without_images(tmp_path):
    with pytest.raises(ValueError, match="`directory` must hold a folder for each class"):
        ArraySampler.from_directory(tmp_path)
    (tmp_path / "ok").mkdir()
    with pytest.raises(ValueError, match="`directory` must hold images"):
        ArraySampler.from_directory(tmp_path)


def test_a_class_whose_folder_has_no_images_is_told(folder, tmp_path):
    for name in ("ok", "worn"):
        write(tmp_path / name / "0.png", np.random.default_rng(0))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "0.webp").touch()
    with pytest.warns(UserWarning, match=r"classes \['broken'\] have no rows.*\.bmp.*`class_names`") as told:
        ArraySampler.from_directory(tmp_path, seed=0)
    assert told[0].filename == __file__
    sampler = ArraySampler.from_directory(tmp_path, class_names=["ok", "worn"], seed=0)
    assert sampler.class_counts.tolist() == [1, 1]


def test_a_class_without_validation_images_is_named(tmp_path):
    for name, files in (("common", 20), ("rare", 3)):
        (tmp_path / name).mkdir()
        for i in range(files):
            (tmp_path / name / f"{i}.png").touch()
    with pytest.warns(UserWarning, match=r"No image of \['rare'\] validates.*`validation_split`") as told:
        _, validation = ArraySampler.from_directory(tmp_path, validation_split=0.1, subset="both", seed=0)
    assert told[0].filename == __file__
    assert validation.class_counts.tolist() == [2, 0]


def test_a_class_without_training_images_is_named(tmp_path):
    for name, files in (("common", 9), ("rare", 1)):
        (tmp_path / name).mkdir()
        for i in range(files):
            (tmp_path / name / f"{i}.png").touch()
    with pytest.warns(UserWarning, match=r"No image of \['rare'\] trains: lower `validation_split`"):
        training, _ = ArraySampler.from_directory(tmp_path, validation_split=0.6, subset="both", seed=0)
    assert training.class_counts.tolist() == [4, 0]


BROKEN = {
    "empty.png": b"",
    "short.jpg": b"\xff",
    "text.jpg": b"no image at all",
    "webp.jpg": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
    "cut.jpg": lambda image: tf.io.encode_jpeg(image).numpy()[:-30],
    "cut.png": lambda image: tf.io.encode_png(image).numpy()[:-30],
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_decoded_is_named(tmp_path, name):
    rng = np.random.default_rng(0)
    for i in range(3):
        write(tmp_path / "good" / f"{i}.png", rng)
    made = BROKEN[name]
    broken = made(tf.constant(rng.integers(0, 256, (20, 20, 3)), tf.uint8)) if callable(made) else made
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / name).write_bytes(broken)
    with pytest.raises(tf.errors.InvalidArgumentError):  # TensorFlow's, without a name
        list(ArraySampler.from_directory(tmp_path, image_size=(4, 4), target="natural", seed=0).dataset())
    for split in ({}, {"validation_split": 0.5, "subset": "validation"}):
        with pytest.raises(ValueError, match=f"`directory`.*1 of 4 .*{name}") as error:
            ArraySampler.from_directory(tmp_path, seed=0, check_files=True, **split)
        assert "good" not in str(error.value)


def test_whole_files_of_every_format_pass(folder, tmp_path):
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (7, 5, 3)), tf.uint8)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "trailing.jpg").write_bytes(tf.io.encode_jpeg(image).numpy() + b"\0\0")
    (tmp_path / "a" / "a.bmp").write_bytes(bitmap(image.numpy()))
    (tmp_path / "a" / "a.gif").write_bytes(GIF)
    for directory in (folder, tmp_path):
        plain, checked = (ArraySampler.from_directory(directory, seed=0, check_files=check) for check in (False, True))
        assert plain.file_paths == checked.file_paths
    assert len(checked.file_paths) == 3


GIF = bytes.fromhex("47494638396101000100800000ff000000ff002c00000000010001000002024401003b")


def bitmap(image):
    """The bytes of a Windows bitmap of 24 bits."""
    height, width, _ = image.shape
    lines = [row[:, ::-1].tobytes().ljust(-(-3 * width // 4) * 4, b"\0") for row in image[::-1]]
    body = b"".join(lines)
    header = struct.pack("<IHHI", 54 + len(body), 0, 0, 54)
    return b"BM" + header + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(body), 0, 0, 0, 0) + body


@keras_3_only("py_dataset() is refused before")
def test_py_dataset_says_that_tensorflow_reads_the_images(folder):
    sampler = ArraySampler.from_directory(folder, batch_size=4, seed=0)
    with pytest.raises(ValueError, match=r"`dataset\(\)` where it is made `from_directory`.*py_dataset\(map_fn=...\)"):
        sampler.py_dataset()
