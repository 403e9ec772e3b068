"""What langrun gives to `python -c`: the package `report` comes in on standard input as one JSON object of sources."""
import importlib.abc
import importlib.machinery
import json
import sys

# With -c, Python would look for modules in the current folder first.
sys.path = [folder for folder in sys.path if folder]


class Carried(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds the modules of the package in memory."""

    def __init__(self, sources):
        self.sources = sources

    def find_spec(self, name, path=None, target=None):
        if name != "report" and not (name.startswith("report.") and name.split(".", 1)[1] in self.sources):
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=f"langrun's {name}", is_package=name == "report")

    def get_source(self, name):
        return self.sources["__init__" if name == "report" else name.split(".", 1)[1]]


sys.meta_path.insert(0, Carried(json.load(sys.stdin)))
importlib.import_module("report.command").main(sys.argv[1:])
