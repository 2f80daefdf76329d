"""Reading of images and their labels in tf.data, as `keras.utils.image_dataset_from_directory` reads them."""

from typing import TYPE_CHECKING, Any

from keras_imbalance._keras import tensorflow
from keras_imbalance.sampling.image_folder import Images

if TYPE_CHECKING:
    import tensorflow as tf
else:
    tf = tensorflow()


def read_image(path: Any, images: Images) -> tf.Tensor:
    """The image in a file, `(height, width, channels)` or with the channels first.

    Args:
        path: name of a file, a tensor.
        images: how it is read.
    """
    image = tf.io.decode_image(tf.io.read_file(path), channels=images.channels, expand_animations=False)
    if images.pad_to_aspect_ratio:
        image = tf.image.resize_with_pad(image, *images.size, method=images.interpolation)
    else:
        image = _cropped(image, images.size) if images.crop_to_aspect_ratio else image
        image = tf.image.resize(image, images.size, method=images.interpolation)
    image.set_shape((*images.size, images.channels))
    return tf.transpose(image, (2, 0, 1)) if images.data_format == "channels_first" else image


def reason_if_broken(path: str, channels: int) -> str:
    """Why an image cannot be decoded, in the words of TensorFlow; empty where it can."""
    try:
        tf.io.decode_image(tf.io.read_file(path), channels=channels, expand_animations=False)
    except (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError) as error:
        return error.message.rpartition("}} ")[2].partition(" [Op:")[0]
    return ""


def label_in_mode(class_id: Any, images: Images) -> tf.Tensor:
    """The label of a class: its id int32 `()`, one-hot float32 `(C,)`, or 0 or 1 float32 `(1,)`."""
    if images.label_mode == "categorical":
        return tf.one_hot(class_id, images.num_classes)
    return class_id if images.label_mode == "int" else tf.cast(class_id, tf.float32)[None]


def _cropped(image, size):
    """The largest part in the middle that has the aspect ratio of `size`."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    inner_height = _scaled(width, size[0], size[1], height)
    inner_width = _scaled(height, size[1], size[0], width)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    return image[top : top + inner_height, left : left + inner_width]


def _scaled(side, multiplier, divisor, most):
    scaled = tf.cast(tf.cast(side * multiplier, tf.float32) / divisor, tf.int32)
    return tf.maximum(tf.minimum(most, scaled), 1)
