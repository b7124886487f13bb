"""Run one stand-in by hand or under another image's name: `python -m embedded.images NAME ARG…`."""

import importlib
import sys

from embedded.images import ImageError, stand_in

if len(sys.argv) < 2:
    sys.exit("python -m embedded.images NAME ARG…: NAME is a module below embedded/images")
try:
    module = stand_in(sys.argv[1])
except ImageError as error:
    sys.exit(str(error))
importlib.import_module(module).main(sys.argv[2:])
