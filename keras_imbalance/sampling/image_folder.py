"""Images in a folder for each class: which files there are, of which class, and how they are read."""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_imbalance._core import (
    check_flag,
    check_names,
    check_number,
    check_one_of,
    check_whole,
    class_ids,
    invalid,
    rows_by_class,
    shown,
)
from keras_imbalance._keras import keras

FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
OTHER_FORMATS = (".avif", ".heic", ".jfif", ".jp2", ".tif", ".tiff", ".webp")
CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")
LABEL_MODES = ("int", "categorical", "binary")
SUBSETS = ("training", "validation", "both")
NAMED = 3  # broken files in one error


@dataclass(frozen=True)
class Images:
    """How files of images are read, in the words of Keras's `image_dataset_from_directory`."""

    size: tuple[int, int]
    channels: int
    interpolation: str
    crop_to_aspect_ratio: bool
    pad_to_aspect_ratio: bool
    data_format: str
    label_mode: str = "int"
    num_classes: int = 0

    def read(self, path: Any, class_id: Any) -> Any:
        """The image in a file, and its label, as tensors of TensorFlow."""
        from keras_imbalance.sampling.tf_data_images import label_in_mode, read_image

        return read_image(path, self), label_in_mode(class_id, self)

    def check(self, paths: Sequence[str]) -> None:
        """Decodes every file once, and raises an error with the names of those that cannot be decoded."""
        from keras_imbalance.sampling.tf_data_images import reason_if_broken

        with ThreadPoolExecutor(os.cpu_count()) as threads:  # TensorFlow decodes without Python's lock
            reasons = list(threads.map(lambda path: reason_if_broken(path, self.channels), paths))
        broken = [f"{path} ({reason})" for path, reason in zip(paths, reasons, strict=True) if reason]
        if broken:
            more = ", ..." if len(broken) > NAMED else ""
            received = f"{len(broken)} of {len(paths)} that cannot: {', '.join(broken[:NAMED])}{more}"
            remedy = "Delete these files, or save them anew."
            raise invalid("directory", "hold images that can be decoded", received=received, remedy=remedy)

    def with_labels(self, label_mode: Any, num_classes: int) -> "Images":
        """The same with labels "int", "categorical" or "binary"."""
        check_one_of(label_mode, "label_mode", LABEL_MODES)
        if label_mode == "binary" and num_classes != 2:
            received = f"{num_classes} classes"
            raise invalid("label_mode", 'be "binary" only where there are two classes', received=received)
        return replace(self, label_mode=label_mode, num_classes=num_classes)


def checked_images(
    color_mode: Any,
    image_size: Any,
    interpolation: Any,
    crop_to_aspect_ratio: Any,
    pad_to_aspect_ratio: Any,
    data_format: Any,
) -> Images:
    """How images are read, from arguments that are checked here."""
    size = (image_size, image_size) if isinstance(image_size, (int, np.integer)) else image_size
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise invalid("image_size", "be a height and a width, or one whole number for both", image_size)
    if check_flag(crop_to_aspect_ratio, "crop_to_aspect_ratio") and pad_to_aspect_ratio:
        raise invalid("pad_to_aspect_ratio", "be False where `crop_to_aspect_ratio` is True", pad_to_aspect_ratio)
    name = interpolation.lower() if isinstance(interpolation, str) else interpolation
    formats = ("channels_last", "channels_first")
    data_format = keras.backend.image_data_format() if data_format is None else data_format
    return Images(
        (check_whole(size[0], "image_size", 1), check_whole(size[1], "image_size", 1)),
        CHANNELS[check_one_of(color_mode, "color_mode", tuple(CHANNELS))],
        check_one_of(name, "interpolation", INTERPOLATIONS),
        crop_to_aspect_ratio,
        check_flag(pad_to_aspect_ratio, "pad_to_aspect_ratio"),
        check_one_of(data_format, "data_format", formats),
    )


def files_and_classes(
    directory: Any, labels: Any, class_names: Any, follow_links: bool
) -> tuple[list[str], np.ndarray, list[str]]:
    """The images in a directory in the order of Keras, the class id of each, int64 `(N,)`, and the classes' names.

    Args:
        directory: where one folder a class is; or, with `labels`, where the images are.
        labels: "inferred" from the folders, or class ids in the order of the sorted paths.
        class_names: names of folders, in the order of the class ids. Defaults to all of them, sorted.
        follow_links: whether to go into folders that links point to.
    """
    folder = _folder(directory)
    follow_links = check_flag(follow_links, "follow_links")
    if isinstance(labels, str) or labels is None:
        remedy = "Where there are no classes, keras.utils.image_dataset_from_directory(labels=None) reads the images."
        check_one_of(labels, "labels", ("inferred",), remedy=remedy)
        names = _class_folders(folder, check_names(class_names))
        files, ids = _files_of_folders(folder, names, follow_links)
    else:
        files = _images_in(folder, follow_links)
        ids = _ids_of(files, labels, folder)
        num_classes = int(ids.max(initial=-1)) + 1
        names = check_names(class_names, num_classes) or [str(i) for i in range(num_classes)]
    if not files:
        raise invalid("directory", f"hold images, files with names in {', '.join(FORMATS)}", received=folder)
    return files, ids, names


def _files_of_folders(folder, names, follow_links):
    """The images in the folder of each class, and the class ids."""
    found = [_images_in(os.path.join(folder, name), follow_links) for name in names]
    empty = [name for name, paths in zip(names, found, strict=True) if not paths]
    if 0 < len(empty) < len(names):
        warnings.warn(
            f"The classes {shown(empty)} have no rows: their folders in {folder} hold no files with names in "
            f"{', '.join(FORMATS)}. Convert their images, or leave them out by `class_names`.",
            stacklevel=4,
        )
    return [path for paths in found for path in paths], np.repeat(np.arange(len(names)), list(map(len, found)))


def _ids_of(files, labels, folder):
    ids = class_ids(labels, name="labels")
    if len(ids) != len(files):
        requirement = f"hold the class of each of {len(files)} images in {folder}"
        raise invalid("labels", requirement, received=f"{len(ids)} labels")
    return ids


def _folder(directory):
    try:
        folder = os.fspath(directory)
    except TypeError:
        raise invalid("directory", "be a path", directory) from None
    if not os.path.isdir(folder):
        raise invalid(
            "directory", "be a folder", directory, "Remote files are read by a `map_fn` from arrays of paths."
        )
    return folder


def _class_folders(folder, class_names):
    found = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    missing = set(class_names or ()) - set(found)
    if missing:
        raise invalid("class_names", f"be names of the folders {shown(found)}", received=shown(sorted(missing)))
    if not found:
        raise invalid("directory", "hold a folder for each class", received=folder, remedy="Or pass `labels`.")
    return found if class_names is None else class_names


def _images_in(folder, follow_links):
    walked = sorted(os.walk(folder, followlinks=follow_links), key=lambda found: found[0])
    files = [os.path.join(root, name) for root, _, names in walked for name in sorted(names)]
    images = [file for file in files if file.lower().endswith(FORMATS)]
    others = [file for file in files if file.lower().endswith(OTHER_FORMATS)]
    if images and others:
        warnings.warn(
            f"{len(others)} of {len(images) + len(others)} images in {folder} are left out, such as "
            f"{os.path.basename(others[0])}: names in {', '.join(FORMATS)} are read. Convert them.",
            stacklevel=5,
        )
    return images


def stratified_split(ids: np.ndarray, validation_split: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers to train on and to validate on, ascending: of every class the same share, to within a row.

    Together floor(validation_split N) rows validate. The same seed divides the same rows alike.

    Args:
        ids: class of every row `(N,)`.
        validation_split: share of the rows to validate on, in (0, 1).
        seed: whole number.

    Example:
    >>> train, validate = stratified_split(np.repeat([0, 1], [8, 4]), 0.25, seed=0)
    >>> np.bincount(np.repeat([0, 1], [8, 4])[validate])
    array([2, 1])
    """
    rng = np.random.default_rng(seed)
    counts = np.bincount(ids)
    wanted = counts * validation_split
    taken = np.floor(wanted).astype(np.int64)
    for number in np.argsort(taken - wanted, kind="stable")[: int(validation_split * len(ids)) - taken.sum()]:
        taken[number] += 1
    validates = np.zeros(len(ids), dtype=bool)
    for rows, several in zip(rows_by_class(ids), taken, strict=True):
        validates[rng.permutation(rows)[:several]] = True
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def check_split(validation_split: Any, subset: Any, seed: Any) -> None:
    """Raises for a split without a subset, the reverse, and no seed where two calls must divide alike."""
    check_number(validation_split, "validation_split", above=0, below=1, optional=True)
    if validation_split is None:
        if subset not in (None, "validation"):
            requirement = "be None, or 'validation' for a folder of its own, where `validation_split` is not given"
            raise invalid("subset", requirement, subset)
        return
    check_one_of(subset, "subset", SUBSETS)
    if subset != "both" and seed is None:
        raise invalid("seed", "be given where a second call takes the other subset", None, 'Or pass subset="both".')
