"""Fixtures that every test may ask for."""

import signal

pytest_plugins = [
    "tests.docker_fixtures",
    "tests.kubernetes_fixtures",
    "tests.services_fixtures",
]

# Started in the background of a script, pytest ignores Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
