"""How the third-party services of a stack are configured and started: pure data, no pulumi.

Each `<product>/config.py` gives the files, the command and the environment of one service that
runs as a process on 127.0.0.1. Secrets are only ever named by the file that holds them.
"""
