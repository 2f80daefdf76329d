"""A dispatcher and two workers of a tf.data service. Writes out the dispatcher's address, and ends with its input."""

import sys

import tensorflow as tf


def main():
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer(service.DispatcherConfig(port=0))
    address = dispatcher.target.partition("://")[2]
    configs = [service.WorkerConfig(dispatcher_address=address, port=0, heartbeat_interval_ms=100) for _ in range(2)]
    workers = [service.WorkerServer(config) for config in configs]
    sys.stdout.write(f"ADDRESS {dispatcher.target}\n")
    sys.stdout.flush()
    sys.stdin.read()
    del workers


if __name__ == "__main__":
    main()
