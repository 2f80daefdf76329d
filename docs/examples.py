"""Runs the examples and keeps what they print and draw for the site: python docs/examples.py [NAME ...]

The lines of single epochs and trainings are left out, and pictures have 256 colours.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pages import SHOWN, scripts
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
OF_AN_EPOCH = re.compile(r"(Epoch \d+/\d+$|\s*\d+/\d+ - |split \d+ - |Wrote )")
WIDTH = 1000


def told(printed: str) -> str:
    """What is left without the lines of epochs, and without blank lines next to each other."""
    lines = [line.rstrip() for line in printed.splitlines() if not OF_AN_EPOCH.match(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


def keep(script: Path) -> None:
    """Runs one example in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(script), "--output", "pictures"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{script.name}:\n{done.stderr}")
        SHOWN.mkdir(exist_ok=True)
        (SHOWN / f"{script.stem}.txt").write_text(told(done.stdout), encoding="utf-8")
        for path in sorted(Path(folder, "pictures").glob("*.png")):
            picture = Image.open(path).convert("RGB")
            picture.thumbnail((WIDTH, WIDTH))
            name = script.stem if path.stem == script.stem else f"{script.stem}-{path.stem}"
            picture.quantize(256).save(SHOWN / f"{name}.png", optimize=True)


def main() -> None:
    """All examples, or those that are named."""
    for script in scripts(EXAMPLES):
        if not sys.argv[1:] or script.stem in sys.argv[1:]:
            keep(script)
            print(f"Kept what {script.name} shows")


if __name__ == "__main__":
    main()
