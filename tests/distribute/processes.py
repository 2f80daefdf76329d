"""Processes that talk to each other on loopback, and end with the test whatever happens."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time


def free_addresses(number):
    """`number` addresses on loopback that nobody listens to."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    finally:
        for each in sockets:
            each.close()


def cluster(number):
    """TF_CONFIG of each of `number` workers."""
    spec = {"worker": free_addresses(number)}
    return [json.dumps({"cluster": spec, "task": {"type": "worker", "index": i}}) for i in range(number)]


class Workers:
    """Starts a script once for each setting of the environment; leaving the block kills what still runs.

    Args:
        command: arguments after the interpreter.
        environments: one dict a process.
        folder: where their outputs go.
    """

    def __init__(self, command, environments, folder):
        self.command, self.environments, self.folder = command, environments, folder

    def __enter__(self):
        base = {key: value for key, value in os.environ.items() if key != "TF_CONFIG"}
        self.outputs = [self.folder / f"worker-{i}.txt" for i in range(len(self.environments))]
        self.processes = []
        for environment, output in zip(self.environments, self.outputs, strict=True):
            with output.open("w") as file:
                process = subprocess.Popen(
                    [sys.executable, *map(str, self.command)],
                    env={**base, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1", **environment},
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self.processes.append(process)
        return self

    def __exit__(self, *error):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it has started
        for process in self.processes:
            process.wait(timeout=30)

    def wait(self, timeout):
        """Waits until all have ended, or one has failed; returns their exit codes, None for those that still run."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            codes = [process.poll() for process in self.processes]
            if None not in codes or any(codes):
                return codes
            time.sleep(0.1)
        return [process.poll() for process in self.processes]

    def text(self):
        """The end of what each has printed."""
        return "\n".join(f"--- {output.name}\n{output.read_text()[-3000:]}" for output in self.outputs)


def run_to_the_end(command, environments, folder, timeout=480):
    """Runs processes until all have ended well; returns the end of what they printed."""
    with Workers(command, environments, folder) as workers:
        codes = workers.wait(timeout)
        assert codes == [0] * len(codes), f"exit codes {codes}\n{workers.text()}"
        return workers.text()
