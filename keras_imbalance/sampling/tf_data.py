"""Delivery of batches as a `tf.data.Dataset`. Importing this file imports TensorFlow, whatever backend Keras runs on."""

import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from keras_imbalance._core import invalid, shown
from keras_imbalance._keras import tensorflow
from keras_imbalance.sampling.feed import Feed
from keras_imbalance.sampling.nests import leaves, mapped
from keras_imbalance.sampling.shards import Shards
from keras_imbalance.sampling.sources import check_tensor

if TYPE_CHECKING:
    import tensorflow as tf
else:
    tf = tensorflow()  # so that it takes no GPU from JAX or PyTorch

Dataset: TypeAlias = tf.data.Dataset
InputContext: TypeAlias = tf.distribute.InputContext

MOST_HELD = 1 << 30  # bytes of x, y and weights together that are held once more as tensors
PARALLEL = 2  # batches, or blocks of them, that are made at a time
PARALLEL_ROWS = 2 * (
    os.cpu_count() or 1
)  # rows that a `map_fn` works on at a time: while some are read, others are decoded
AHEAD = 2  # batches that wait for the model
BLOCK_BYTES, BLOCK_BATCHES = 1 << 19, 16  # of small batches that NumPy makes in one call, the most


def dataset_of(
    feed: Feed, shards: Shards, map_fn: Callable[..., Any] | None = None, pass_repeats: bool = False
) -> Dataset:
    """The batches of one epoch of an array sampler, anew in each iteration.

    TensorFlow keeps the Python functions of a dataset for ever (tensorflow#57690). So they hold the rows weakly, and the
    dataset holds them strongly.

    Args:
        feed: the rows and the plan.
        shards: which shards of every batch are wanted.
        map_fn: what is done to each row, or None.
        pass_repeats: whether its last argument is how often the row was drawn before.
    """
    map_fn = _row_function(feed.images, map_fn, pass_repeats)
    planner = feed.planner
    num_batches = planner.num_batches * shards.kept
    counts_from = shards.counts_from(planner.num_batches)
    part = _batches(feed, shards) if map_fn is None else _mapped_rows(feed, shards, map_fn)
    weak = weakref.ref(feed)
    types = [tf.int64] * 6 + ([] if feed.synthesizer is None else [tf.bool, tf.float64])

    def plan():
        made = _alive(weak).planner.plan(shards)
        return [np.int64(made.number), made.drawn, made.made, made.ends, *made.of_positions()]

    def count(number, drawn, made):
        _alive(weak).planner.count(int(number), drawn, made)
        return np.int64(0)

    def epoch(_):
        number, drawn, made, ends, *positions = tf.numpy_function(plan, [], types)
        ends.set_shape((num_batches,))
        for values, rank in zip(positions, (1, 1, 1, 2), strict=False):
            values.set_shape([None] * rank)
        starts = tf.concat([[0], ends], axis=0)
        # A look at the first batch must not start the rest, so only the rest is fetched ahead.
        first = part(starts, positions, 0, counts_from)
        mark = tf.data.Dataset.range(1).map(lambda _: tf.numpy_function(count, [number, drawn, made], tf.int64))
        rest = part(starts, positions, counts_from, num_batches).prefetch(AHEAD)
        return first.concatenate(mark.flat_map(lambda _: rest))

    options = options_of(shards)
    options.autotune.enabled = False
    # Nothing here gains from a rewritten graph. To rewrite it copies the tensors that it holds, anew in each iteration, and
    # fusing fails where a `map_fn` holds a Variable or a table ("can't delete node(s)").
    options.experimental_optimization.apply_default_optimizations = False
    dataset = tf.data.Dataset.range(1).flat_map(epoch).with_options(options)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    dataset.rows_of_sampler = feed
    return dataset


def _alive(reference):
    feed = reference()
    if feed is None:
        raise RuntimeError("The rows of this dataset were freed: neither the sampler nor the dataset itself was kept.")
    return feed


def _held(feed):
    """Whether all rows are held once more as tensors."""
    return feed.synthesizer is None and feed.nbytes <= MOST_HELD and not feed.on_disk


def _tensors(feed):
    return mapped(lambda leaf: tf.convert_to_tensor(leaf.astype(leaf.dtype.newbyteorder("="), copy=False)), feed.arrays)


def _row_function(images, map_fn, pass_repeats):
    """What is done to each row and its repeats: files of images are read, then what the user asks for; or None."""
    if images is None and map_fn is None:
        return None

    def row(nest, repeats):
        if images is not None:
            nest = images.read(*nest)
        if map_fn is None:
            return nest
        return map_fn(*nest, repeats) if pass_repeats else map_fn(*nest)

    return row


def _batches(feed, shards):
    """A function that gives a dataset of batches `[first, last)` of a plan."""
    if _held(feed):
        tensors = _tensors(feed)
        size = 1

        def take(rows, repeats):
            return mapped(lambda leaf: tf.gather(leaf, rows), tensors)

    else:
        take, size = _made(feed, several=True), _block_size(feed, shards)

    def part(starts, positions, first, last):
        def block(index):
            start, end = starts[index], starts[tf.minimum(index + size, last)]
            return take(*(values[start:end] for values in positions))

        if size == 1 or last - first == 1:
            return tf.data.Dataset.range(first, last).map(block, num_parallel_calls=PARALLEL)

        def divide(index, rows):
            batches = tf.data.Dataset.range(index, tf.minimum(index + size, last))
            begin = starts[index]
            return batches.map(lambda i: mapped(lambda leaf: leaf[starts[i] - begin : starts[i + 1] - begin], rows))

        blocks = tf.data.Dataset.range(first, last, size)
        return blocks.map(lambda i: (i, block(i)), num_parallel_calls=PARALLEL).flat_map(divide)

    return part


def _mapped_rows(feed, shards, map_fn):
    """A function that gives a dataset of batches `[first, last)` of a plan whose rows go through a function one by one."""
    planner = feed.planner
    size = planner.batch_size // shards.num_shards
    full = planner.epoch_rows // planner.batch_size * shards.kept  # batches of that size; the others are smaller
    if _held(feed):
        tensors = _tensors(feed)

        def take(row, repeats):
            return mapped(lambda leaf: leaf[row], tensors)

    else:
        take = _made(feed, several=False)

    def part(starts, positions, first, last):
        def row(i):
            values = [values[i] for values in positions]
            return map_fn(take(*values), values[1])

        def batch(start, end):
            return tf.data.Dataset.range(start, end).map(row, num_parallel_calls=PARALLEL_ROWS).batch(size)

        if last <= full or shards.kept == 1:  # the last batch is what remains
            return batch(starts[first], starts[last])
        whole = batch(starts[first], starts[max(first, min(last, full))])
        smaller = tf.data.Dataset.range(max(first, full), max(last, full))
        return whole.concatenate(smaller.flat_map(lambda i: batch(starts[i], starts[i + 1])))

    return part


def _made(feed, several):
    """A function of row numbers, and of what decides about new points: the rows, or the one row, which NumPy takes."""
    weak = weakref.ref(feed)
    specs = feed.specs()
    flat_specs = leaves(specs)
    if several and any(None in spec.shape for spec in flat_specs):
        remedy = "Pass a `map_fn` that brings each row to one shape, such as tf.image.resize."
        received = f"rows of shapes {shown([spec.shape for spec in flat_specs])}, None where they differ"
        raise invalid("map_fn", "be given where rows differ in shape", received=received, remedy=remedy)

    def read(*values):
        feed = _alive(weak)
        rows = leaves(feed.batch(*values) if several else feed.row(int(values[0]), *values[1:]))
        return [_fitting(array, spec, several) for array, spec in zip(rows, flat_specs, strict=True)]

    def take(rows, repeats, *new):
        flat = tf.numpy_function(read, [rows, *new], [_type_of(spec.dtype) for spec in flat_specs])
        for tensor, spec in zip(flat, flat_specs, strict=True):
            tensor.set_shape((None, *spec.shape) if several else spec.shape)
        return tf.nest.pack_sequence_as(mapped(lambda spec: 0, specs), flat)

    return take


def _fitting(array, spec, several):
    """An array of the dtype that the first rows had; raises where its shape is another."""
    array = np.asarray(array)
    shape = array.shape[1:] if several else array.shape
    if len(shape) != len(spec.shape) or not all(
        want in (None, size) for size, want in zip(shape, spec.shape, strict=True)
    ):
        remedy = "Bring all rows to one shape before they come here."
        raise invalid("x", f"give rows of the shape {spec.shape}", received=f"a row of shape {shape}", remedy=remedy)
    if spec.dtype.kind not in "OUS":
        return array.astype(spec.dtype, copy=False)
    check_tensor(array, "x")
    return array


def _block_size(feed, shards):
    """How many batches are made in one call."""
    row = sum(int(np.prod(spec.shape)) * spec.dtype.itemsize for spec in leaves(feed.specs()) if None not in spec.shape)
    batch = max(1, row * feed.planner.batch_size // shards.num_shards)
    return max(1, min(BLOCK_BATCHES, BLOCK_BYTES // batch))


def _type_of(dtype):
    return tf.string if dtype.kind in "OUS" else tf.as_dtype(dtype)


def options_of(shards: Shards) -> tf.data.Options:
    """Options of a dataset of these shards: batches as they come, whole ones divided by tf.distribute row by row."""
    options = tf.data.Options()
    options.deterministic = True
    # A worker of the tf.data service would draw an epoch of its own, or find no sampler in its process: refuse it.
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.FAIL
    policy = tf.data.experimental.AutoShardPolicy
    options.experimental_distribute.auto_shard_policy = policy.DATA if shards.num_shards == 1 else policy.OFF
    return options


def within_strategy(shards: Shards) -> Shards:
    """These shards, with what a build probe takes where this is called."""
    return shards.probed_under(strategy=tf.distribute.has_strategy())


def shards_of_worker(context: Any) -> Shards:
    """One shard for each replica of a worker of a strategy, from its `tf.distribute.InputContext`."""
    if not isinstance(context, tf.distribute.InputContext):
        raise invalid("context", "be a tf.distribute.InputContext", received=str(type(context)))
    replicas, workers = context.num_replicas_in_sync, context.num_input_pipelines
    if replicas < workers or replicas % workers:
        received = f"num_replicas_in_sync={replicas}, num_input_pipelines={workers}"
        raise invalid("context", "have the same number of replicas, at least one, for every worker", received=received)
    each = replicas // workers
    return Shards(replicas, context.input_pipeline_id * each, each)
