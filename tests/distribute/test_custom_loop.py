"""examples/two_workers.py: a loop for Keras 3 over several workers, to the numbers of one, also through a kill."""

import re
import time
from pathlib import Path

import pytest
from processes import Workers, cluster, run_to_the_end

pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).parents[2] / "examples" / "two_workers.py"
KERAS_3 = {"TF_USE_LEGACY_KERAS": "0", "KERAS_BACKEND": "tensorflow"}


def environments(number):
    return [{**KERAS_3, "TF_CONFIG": config} for config in cluster(number)]


def epochs(folder):
    """The printed lines, by epoch."""
    text = (folder / "worker-0.txt").read_text()
    return {int(line.split()[1][:-1]): line for line in re.findall(r"^epoch \d+: .*$", text, flags=re.MULTILINE)}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    run_to_the_end([EXAMPLE, "--output", folder], environments(1), folder)
    return epochs(folder)


def test_two_workers_print_what_one_prints(alone, tmp_path):
    command = [EXAMPLE, "--workers", 2, "--output", tmp_path]
    run_to_the_end(command, [KERAS_3], tmp_path)  # it starts its workers by itself
    assert epochs(tmp_path) == alone
    assert sorted(alone) == [1, 2, 3, 4, 5, 6]
    f1 = [float(re.search(r"f1/2 (\S+)", line).group(1)) for line in alone.values()]
    assert f1[-1] > 0.6 > f1[0]  # it learns the rare class


def test_one_worker_is_killed_and_all_go_on_from_what_was_saved(alone, tmp_path):
    with Workers([EXAMPLE, "--output", tmp_path], environments(2), tmp_path) as workers:
        deadline = time.monotonic() + 400
        while 2 not in epochs(tmp_path) and time.monotonic() < deadline and None in workers.wait(0):
            time.sleep(0.02)
        workers.processes[1].kill()
        workers.wait(60)
    before = epochs(tmp_path)
    assert 2 in before
    assert 6 not in before
    run_to_the_end([EXAMPLE, "--output", tmp_path], environments(2), tmp_path)
    after = epochs(tmp_path)
    assert min(after) in (max(before) + 1, max(before) + 2)  # killed between saving and printing: one more
    assert {**before, **after} == {key: alone[key] for key in {**before, **after}}
    assert 6 in after
