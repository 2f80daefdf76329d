"""Which remedy helps on a user's data: methods side by side on the same splits, nets and steps, and what to try first.

`method.py` says what a method is and what it may use; `catalogue.py` lists those of this package, `remedies.py` does what they
do, `code.py` writes it out. `rows.py` holds the rows and their labels, `splits.py` divides them, `training.py` trains one net,
`store.py` keeps it on disk, `schedule.py` says what is trained next and where. `scores.py` and `statistics.py` make numbers of
the probabilities, `result.py` shows them. `recommend.py` trains nothing.
"""

from keras_imbalance.comparison.compare import compare_methods
from keras_imbalance.comparison.method import Method, Run
from keras_imbalance.comparison.recommend import Recommendation, recommend
from keras_imbalance.comparison.result import Comparison

__all__ = ["Comparison", "Method", "Recommendation", "Run", "compare_methods", "recommend"]
