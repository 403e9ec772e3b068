"""The averaged energy of a run's newest checkpoint as a file of weights of its own: averaged.py RUN OUT.h5"""
import pathlib
import sys

import h5py

with h5py.File(pathlib.Path(sys.argv[1]) / "checkpoint/latest/weights.h5") as run, h5py.File(sys.argv[2], "x") as out:
    run.copy("energy_average", out, name="energy")
