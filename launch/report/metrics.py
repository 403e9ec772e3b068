"""metrics.jsonl as columns: a run of hundreds of thousands of steps, damaged lines and numbers nobody has heard of."""
import array
import dataclasses
import json
import math

import numpy as np

MOST_ROWS = 256  # of an array over time
MOST_BINS = 4096


@dataclasses.dataclass
class Metrics:
    columns: dict  # name: float array, one element a step, nan where there is none; timers as name.min, .avg, .max
    arrays: dict   # name: Counts
    bad: int = 0   # lines that could not be read

    @property
    def steps(self):
        return self.columns.get("step", np.zeros(0))

    def finite(self, name):
        """Steps and values where the quantity is a number."""
        values = self.columns[name]
        good = np.isfinite(values)
        return self.steps[good], values[good]


class Counts:
    """An array of every step, averaged over stretches of steps that grow with the run: at most MOST_ROWS of them."""

    def __init__(self):
        self.rows = []     # [first step, last step, lines, sums]
        self.stretch = 1   # lines of a full row

    def add(self, step, values):
        # A run that went back drops what it had counted since.
        while self.rows and self.rows[-1][1] >= step:
            self.rows.pop()
        numbers = np.array([v if type(v) in (int, float) and math.isfinite(v) else 0.0 for v in values[:MOST_BINS]])
        if self.rows and self.rows[-1][2] < self.stretch:
            self.rows[-1] = merged(self.rows[-1], [step, step, 1, numbers])
            return
        if len(self.rows) == MOST_ROWS:
            self.rows = [merged(*self.rows[i:i + 2]) for i in range(0, MOST_ROWS, 2)]
            self.stretch *= 2
        self.rows.append([step, step, 1, numbers])

    def table(self):
        """(edges of the stretches [R + 1], means [R, bins]); rows are as long as the longest."""
        bins = max(len(row[3]) for row in self.rows)
        means = np.array([np.pad(row[3], (0, bins - len(row[3]))) / row[2] for row in self.rows])
        starts = [row[0] for row in self.rows]
        return np.array([*starts, max(self.rows[-1][1], starts[-1]) + 1.0]), means


def merged(one, other):
    bins = max(len(one[3]), len(other[3]))
    sums = np.pad(one[3], (0, bins - len(one[3]))) + np.pad(other[3], (0, bins - len(other[3])))
    return [one[0], other[1], one[2] + other[2], sums]


def as_number(value):
    if value is None or type(value) not in (int, float, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def parse(text):
    """The record of a line, or None where it is none."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not math.isfinite(as_number(record.get("step"))):
        return None
    return record


def put(columns, lines, name, value):
    column = columns.get(name)
    if column is None:
        column = columns[name] = array.array("d")
    if len(column) > lines:  # a name that comes twice in one line
        column[lines] = value
        return
    if len(column) < lines:
        column.extend([math.nan] * (lines - len(column)))
    column.append(value)


def put_record(columns, arrays, lines, record):
    for name, value in record.items():
        kind = type(value)
        if kind is float:
            put(columns, lines, name, value)
        elif kind is dict:
            for part, inner in value.items():
                put(columns, lines, f"{name}.{part}", as_number(inner))
        elif kind is list:
            arrays.setdefault(name, Counts()).add(record["step"], value)
        elif kind is not str:
            put(columns, lines, name, as_number(value))


def read(path):
    """All of a metrics file; an empty one where it is missing."""
    columns, arrays, lines, bad = {}, {}, 0, 0
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for text in file:
                record = parse(text)
                if record is None:
                    bad += 1
                    continue
                put_record(columns, arrays, lines, record)
                lines += 1
    except OSError:
        return Metrics({}, {})
    for column in columns.values():
        column.extend([math.nan] * (lines - len(column)))
    found = {name: np.frombuffer(column, dtype=float) for name, column in columns.items()}
    if lines:
        found = without_overtaken(found)
    return Metrics(found, {name: counts for name, counts in arrays.items() if counts.rows}, bad)


def without_overtaken(columns):
    """Lines in rising order of steps: where steps go back, what came before from there on no longer holds."""
    steps = columns["step"]
    if np.all(steps[1:] > steps[:-1]):
        return columns
    later = np.minimum.accumulate(steps[::-1])[::-1]
    keep = np.append(steps[:-1] < later[1:], True)
    return {name: values[keep] for name, values in columns.items()}
