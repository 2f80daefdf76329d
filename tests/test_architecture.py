"""The rules of the house that a machine can check, from the source alone: docs/architecture.md says why they are there."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "keras_imbalance"
# Each room imports from those after it.
ROOMS = (
    "comparison",
    "estimators",
    "callbacks",
    "plots",
    "decisions",
    "sampling",
    "metrics",
    "losses",
    "layers",
    "_core",
    "_keras",
)
# Where `tf.` may stand outside `_keras/`: the delivery of rows to tf.data, and the stream sampler.
TENSORFLOW = (
    "sampling/stream_rows.py",
    "sampling/streams.py",
    "sampling/tf_data.py",
    "sampling/tf_data_images.py",
)
FRAMES = ("_getframe", "_current_frames", "currentframe", "f_back", "f_locals", "tb_frame")
WITH_FRAMES = ("_keras/_frames.py",)


def room(path):
    """The room of a file, "" for the package's own."""
    return path.parts[0] if len(path.parts) > 1 else ""


def imports(tree, path):
    """Every module that a file imports from, and its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                # `from keras_imbalance.metrics import functional` imports a file of that room.
                named = node.module == "keras_imbalance" or (
                    node.module == f"keras_imbalance.{room(path)}" and is_file(inner)
                )
                yield (inner if named else node.module), node.lineno


def is_file(module):
    return PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py").exists()


def imports_up_or_past_a_room(tree, path):
    """Imports from a room above, or from a file of another room."""
    own = room(path)
    for module, line in imports(tree, path):
        package, _, rest = module.partition(".")
        other, _, file = rest.partition(".")
        if package != "keras_imbalance" or other == "version":
            continue
        if not own:
            wrong = file
        elif other == own:
            wrong = not file
        else:
            wrong = file or other not in ROOMS or ROOMS.index(other) < ROOMS.index(own)
        if wrong:
            yield f"{line} {module}"


def backends_by_name(tree, path):
    """TensorFlow, JAX and PyTorch outside `_keras/` and the files that deliver to TensorFlow."""
    if room(path) == "_keras":
        return
    for module, line in imports(tree, path):
        name = module.partition(".")[0]
        if name in ("jax", "torch", "tf_keras", "keras") or (name == "tensorflow" and str(path) not in TENSORFLOW):
            yield f"{line} import {module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "tf" and str(path) not in TENSORFLOW:
            yield f"{node.lineno} {ast.unparse(node)}"


def own_names(tree):
    """Names with an underscore that a file defines: what it reads of its own objects."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and is_self(node.value) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def is_self(node):
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name[1:].isidentifier()


PRIVATE_MODULES = ("keras.src", "tf_keras.src", "tensorflow.python")


def private_attributes(tree):
    """Names with an underscore, and modules of no public name, that a file takes from others, and their lines."""
    own = own_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            named = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            inside = [module for module in PRIVATE_MODULES for name in named if f"{name}.".startswith(f"{module}.")]
            yield from ((module, node.lineno) for module in inside)
        if not isinstance(node, ast.Attribute):
            continue
        if is_private(node.attr) and not is_self(node.value) and node.attr not in own:
            yield node.attr, node.lineno
        if ast.unparse(node) in PRIVATE_MODULES:
            yield ast.unparse(node), node.lineno


def private_texts(tree):
    """Names with an underscore as text, for `getattr` and the like."""
    variables = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and is_private(text) and text not in variables:  # TypeVar("_T")
            yield text, node.lineno


def private_names_outside(tree, path):
    """Private names of Keras or TensorFlow outside `_keras/`."""
    if room(path) != "_keras":
        listed = canaries()
        yield from (f"{line} {name}" for name, line in private_attributes(tree))
        yield from (f"{line} {name!r}" for name, line in private_texts(tree) if name in listed)


def canaries():
    """The table of private names in tests/_keras/test_private_names.py, read without importing Keras."""
    source = Path(__file__).parent / "_keras" / "test_private_names.py"
    tables = [node.value for node in ast.parse(source.read_text()).body if isinstance(node, ast.Assign)]
    return next(ast.literal_eval(table) for table in tables if isinstance(table, ast.Dict))


def frames(tree, path):
    """Looks at the stack."""
    if str(path) in WITH_FRAMES:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in FRAMES:
            yield f"{node.lineno} {ast.unparse(node)}"


RULES = (imports_up_or_past_a_room, backends_by_name, private_names_outside, frames)
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule):
    found = [f"{path}:{broken}" for path in FILES for broken in rule(ast.parse((PACKAGE / path).read_text()), path)]
    assert not found, "\n".join([rule.__doc__, *found])


BROKEN = [
    (imports_up_or_past_a_room, "losses/focal.py", "from keras_imbalance.metrics import functional"),
    (imports_up_or_past_a_room, "losses/focal.py", "from keras_imbalance._core._checks import invalid"),
    (imports_up_or_past_a_room, "losses/focal.py", "from keras_imbalance import metrics"),
    (imports_up_or_past_a_room, "losses/focal.py", "def late():\n    import keras_imbalance.callbacks"),
    (imports_up_or_past_a_room, "losses/focal.py", "from keras_imbalance.losses import FocalLoss"),
    (imports_up_or_past_a_room, "losses/focal.py", "from keras_imbalance import FocalLoss"),
    (imports_up_or_past_a_room, "__init__.py", "from keras_imbalance.losses.focal import FocalLoss"),
    (backends_by_name, "losses/focal.py", "import tensorflow as tf"),
    (backends_by_name, "losses/focal.py", "tf.add(1, 2)"),
    (backends_by_name, "losses/focal.py", "from keras import ops"),
    (backends_by_name, "callbacks/phases.py", "def late():\n    import jax.numpy"),
    (private_names_outside, "losses/focal.py", "logits = y_pred._keras_logits"),
    (private_names_outside, "losses/focal.py", "getattr(y_pred, '_keras_logits', None)"),
    (private_names_outside, "losses/focal.py", "self.model._initial_epoch = 3"),
    (private_names_outside, "losses/focal.py", "'_keras_logits' in vars(y_pred)"),
    (private_names_outside, "losses/focal.py", "keras.src.backend.in_symbolic_scope()"),
    (private_names_outside, "losses/focal.py", "from keras.src import backend"),
    (private_names_outside, "losses/focal.py", "import tensorflow.python.framework.config"),
    (frames, "callbacks/state.py", "sys._getframe(1)"),
    (frames, "_keras/_keras3.py", "inspect.currentframe()"),
]


@pytest.mark.parametrize(("rule", "path", "code"), BROKEN, ids=[code for *_, code in BROKEN])
def test_the_rule_sees_what_breaks_it(rule, path, code):
    assert list(rule(ast.parse(code), Path(path)))


KEPT = [
    (imports_up_or_past_a_room, "losses/focal.py", "from keras_imbalance._core import invalid"),
    (imports_up_or_past_a_room, "losses/focal.py", "from keras_imbalance.losses.base import ImbalanceLoss"),
    (private_names_outside, "losses/focal.py", "self._shift"),
    (private_names_outside, "losses/focal.py", "class A:\n    def __init__(self):\n        self._b = 1\n\nA()._b"),
    (backends_by_name, "sampling/streams.py", "import tensorflow as tf"),
    (frames, "_keras/_frames.py", "sys._getframe(1)"),
]


@pytest.mark.parametrize(("rule", "path", "code"), KEPT, ids=[code for *_, code in KEPT])
def test_the_rule_lets_the_rest_be(rule, path, code):
    assert not list(rule(ast.parse(code), Path(path)))


def test_every_room_has_its_place_in_the_order():
    assert {room(path) for path in FILES} - {""} <= set(ROOMS)


def test_every_private_name_has_its_canary():
    trees = [ast.parse((PACKAGE / path).read_text()) for path in FILES if room(path) == "_keras"]
    used = {name for tree in trees for names in (private_attributes, private_texts) for name, _ in names(tree)}
    assert used == set(canaries())


def test_the_page_on_the_architecture_lists_every_private_name():
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    assert not [name for name in canaries() if f"| `{name}` |" not in page]


def test_the_page_on_the_architecture_names_files_and_functions_that_are_there():
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    named = re.findall(r"`([a-z_]+/[a-z_0-9]+\.py)(?::([A-Za-z_.]+))?`", page)
    assert len(named) > 20
    for file, function in named:
        path = next(path for path in (PACKAGE / file, PACKAGE.parent / file) if path.exists())
        defined = {node.name for node in ast.walk(ast.parse(path.read_text())) if hasattr(node, "name")}
        assert set(filter(None, function.split("."))) <= defined, (file, function)
