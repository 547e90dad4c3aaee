"""`python -m mixzoo.eval ...`, also under torchrun, is `mixzoo eval ...`."""

import runpy
import sys

if __name__ == "__main__":
    sys.argv[1:1] = ["eval"]
    runpy.run_module("mixzoo", run_name="__main__", alter_sys=True)
