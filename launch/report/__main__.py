"""`python launch/report DIR...` from the sources, without langrun."""
import pathlib
import sys

sys.path[0] = str(pathlib.Path(__file__).resolve().parent.parent)

from report.command import main

main(sys.argv[1:])
