"""Run one stand-in by hand or under another image's name: `python -m embedded.images NAME ARG…`."""

import importlib
import sys

if len(sys.argv) < 2:
    sys.exit("python -m embedded.images NAME ARG…: NAME is a module of embedded/images")
importlib.import_module(f"embedded.images.{sys.argv[1]}").main(sys.argv[2:])
