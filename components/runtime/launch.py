"""Runs a module of this project from any working folder: launch.py MODULE ARGUMENT...

A search path in the environment would do too, but programs that the module starts, such as dbt in
its own virtual environment, would inherit it and import our packages for theirs.
"""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
