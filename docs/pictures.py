"""Makes the pictures of the guides anew, which a block of the guide draws and saves: python docs/pictures.py [NAME ...]"""

import contextlib
import io
import re
import sys
import tempfile
from pathlib import Path

import matplotlib
from PIL import Image

GUIDES = Path(__file__).parent / "guides"
IMAGES = Path(__file__).parent / "images"
DRAWN = (
    "several_labels",
    "time_series",
    "detection_heads",
    "sampling",
    "losses",
    "ensembles",
    "text",
    "resume_and_devices",
)
BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def draw(name: str) -> Path:
    """Runs the blocks of a guide in an empty folder; the picture that it saves goes to the others, with 256 colours."""
    scope: dict = {"__name__": name}
    target = IMAGES / f"{name}.png"
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
            for block in BLOCK.findall((GUIDES / f"{name}.md").read_text(encoding="utf-8")):
                exec(block, scope)
        Image.open(Path(folder, f"{name}.png")).convert("RGB").quantize(256).save(target, "png", optimize=True)
    return target


def main() -> None:
    """All pictures, or those that are named."""
    matplotlib.use("Agg")
    for name in sys.argv[1:] or DRAWN:
        target = draw(name)
        print(f"Wrote {target}, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
