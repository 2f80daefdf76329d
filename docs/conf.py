"""The site: `sphinx-build -W --keep-going -c docs . FOLDER`, from the root of the repository; FOLDER/index.html is its start.

The root is the source, so that the README, the guides, the examples and the notes for contributors are pages under the same
links as in the repository. Nothing is executed and nothing is fetched: notebooks and examples show the outputs that are stored
with them.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from pages import cards, docstring_in_rst, example_page, gallery, hidden_toctrees, scripts, toctree

from keras_imbalance import ROOM_OF, __version__

project = "keras_imbalance"
version = release = __version__
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "myst_nb",
]
root_doc = "docs/index"
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb", ".py": "myst-nb"}
include_patterns = [
    "*.md",
    "docs/**.md",
    "docs/api/**.rst",
    "docs/notebooks/*.ipynb",
    "examples/**.md",
    "examples/*.py",
]
exclude_patterns = [".*", "build", "dist", "output", "shared", "examples/common.py"]
templates_path = [str(ROOT / "docs" / "_templates")]

autodoc_typehints = "none"  # what an argument may be stands under Args
autodoc_inherit_docstrings = False  # what Keras says of its own methods is not repeated
# Methods that a user calls. What only a subclass is to know stands on the pages of the classes that are meant to be one's base.
autosummary_context = {
    "without_members": [name for name, room in ROOM_OF.items() if room in ("losses", "callbacks")],
    "not_of_ours": "Loss, KerasSaveable, Metric, Callback, Layer, Operation, PyDataset, SKLearnClassifier, "
    "BaseEstimator, ClassifierMixin, tuple",
    "for_subclasses": "average_keys, batch_of, check_log_keys, class_keys, class_scores, class_values, confusion, excluded, "
    "exact_scores, get_metadata_routing, log_keys, logged_classes, monitored_keys, on_logits, set_score_request, "
    "sets_flags, sets_rate, tell_wrong, training, unsuited, value",
}
maximum_signature_line_length = 80
napoleon_custom_sections = ["Input shape", ("Attributes", "params_style")]
add_module_names = False
toc_object_entries_show_parents = "hide"

myst_enable_extensions = ["colon_fence", "tasklist"]
myst_heading_anchors = 4  # the links to headings that GitHub has
nb_execution_mode = "off"

html_theme = "pydata_sphinx_theme"
html_title = f"keras_imbalance {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {"docs/index": [], "README": [], "docs/benchmarks": []}
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "keras_imbalance"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "back_to_top_button": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
copyright = "the authors of keras_imbalance, Apache-2.0"


def read(app, docname, source):
    """Scripts become pages; lists of links become menus."""
    if os.fspath(app.env.doc2path(docname)).endswith(".py"):
        source[0] = example_page(ROOT / f"{docname}.py")
    if docname == "examples/README":
        names = ["The data <data/README>", *(script.stem for script in scripts(ROOT / "examples"))]
        source[0] += gallery(ROOT / "examples") + toctree("Scripts", names)
    if docname == "docs/index":
        source[0] += cards((ROOT / "docs" / "guides" / "index.md").read_text(encoding="utf-8"))
    if docname == "docs/guides/index":
        notebooks = sorted(path.stem for path in (ROOT / "docs" / "notebooks").glob("*.ipynb"))
        source[0] += hidden_toctrees(source[0]) + toctree("Notebooks", [f"../notebooks/{name}" for name in notebooks])


def translate(app, what, name, obj, options, lines):
    """The marks of a docstring of the package, as reStructuredText has them."""
    lines[:] = docstring_in_rst(lines)


def redirect(app, error):
    """The root of the site leads to its first page."""
    if error is None and app.builder.format == "html":
        start = '<!doctype html><meta http-equiv="refresh" content="0; url=docs/index.html"><a href="docs/index.html">Start</a>'
        (Path(app.outdir) / "index.html").write_text(start, encoding="utf-8")


def setup(app):
    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", translate, priority=400)  # before napoleon
    app.connect("build-finished", redirect)
