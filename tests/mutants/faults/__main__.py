"""Run a stand-in with a defect: `python -m tests.mutants.faults FAULT ARG…`."""

import importlib
import sys

from tests.mutants.faults import FAULTS

name, *arguments = sys.argv[1:]
module_name, breaks = FAULTS[name]
module = importlib.import_module(module_name)
breaks(module)
module.main(arguments)
