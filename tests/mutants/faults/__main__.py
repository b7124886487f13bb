"""Run a stand-in with defects: `python -m tests.mutants.faults FAULT[+FAULT…] ARG…`."""

import importlib
import sys

from tests.mutants.faults import FAULTS

names, *arguments = sys.argv[1:]
faults = [FAULTS[name] for name in names.split("+")]
(module_name,) = {module for module, _ in faults}
module = importlib.import_module(module_name)
for _, breaks in faults:
    breaks(module)
module.main(arguments)
