"""The figure that a notebook shows as a picture. It needs matplotlib, so it is imported when a figure is drawn."""

from io import BytesIO

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A matplotlib Figure that a notebook shows as a picture; pyplot, which keeps figures alive, does not know it."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png", bbox_inches="tight")
        return picture.getvalue()
