"""metrics.jsonl as columns: a run of hundreds of thousands of steps, damaged lines and numbers nobody has heard of."""
import contextlib
import dataclasses
import json
import math

import numpy as np

MOST_ROWS = 256  # of an array over time
MOST_BINS = 4096
BLOCK = 1000     # lines
LARGEST = 1e100  # of what figures can show; a run that came there has diverged all the same
NUMBERS = {int, float, bool}


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
    """An array of every step, summed over stretches of steps that grow with the run: at most MOST_ROWS of them."""

    def __init__(self):
        self.rows = []     # [first step, last step, lines, sums]
        self.stretch = 1   # lines of a full row

    def add(self, steps, lists):
        """Arrays of lines that follow each other."""
        at = 0
        while at < len(steps):
            # A run that went back drops what it had counted since.
            while self.rows and self.rows[-1][1] >= steps[at]:
                self.rows.pop()
            open_row = self.rows and self.rows[-1][2] < self.stretch
            end = at + (self.stretch - self.rows[-1][2] if open_row else self.stretch)
            back = np.nonzero(np.diff(steps[at:end]) <= 0)[0]
            end = min(end, len(steps), *(at + 1 + i for i in back[:1]))
            row = [steps[at], steps[end - 1], end - at, np.nan_to_num(table_of(lists[at:end])).sum(axis=0)]
            if open_row:
                self.rows[-1] = merged(self.rows[-1], row)
            else:
                self.rows.append(row)
            if len(self.rows) > MOST_ROWS:
                self.rows = [merged(*self.rows[i:i + 2]) for i in range(0, MOST_ROWS, 2)] + self.rows[MOST_ROWS:]
                self.stretch *= 2
            at = end

    def table(self):
        """(edges of the stretches [R + 1], means [R, bins]); rows are as long as the longest."""
        bins = max(len(row[3]) for row in self.rows)
        means = np.array([np.pad(row[3], (0, bins - len(row[3]))) / row[2] for row in self.rows])
        return np.array([*(row[0] for row in self.rows), self.rows[-1][1] + 1.0]), means


def merged(one, other):
    bins = max(len(one[3]), len(other[3]))
    sums = np.pad(one[3], (0, bins - len(one[3]))) + np.pad(other[3], (0, bins - len(other[3])))
    return [one[0], other[1], one[2] + other[2], sums]


def as_number(value):
    if type(value) not in NUMBERS:
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def column_of(values):
    """Values of any kind as floats, nan for what is no number or too large to be drawn."""
    column = None
    if set(map(type, values)) <= {*NUMBERS, type(None)}:
        with contextlib.suppress(OverflowError):
            column = np.array(values, dtype=float)
    if column is None:
        column = np.array([as_number(value) for value in values])
    size = np.abs(column)
    column[size > LARGEST] = math.nan
    column[size < 1 / LARGEST] = 0
    return column


def table_of(lists):
    """Lists of numbers, perhaps of several lengths, as a float table; the short ones are filled with zeros."""
    bins = min(max(map(len, lists)), MOST_BINS)
    found = np.zeros((len(lists), bins))
    for row, values in zip(found, lists):
        row[:min(len(values), bins)] = column_of(values[:bins])
    return found


def parse(text):
    """The record of a line, or None where it is none."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not abs(as_number(record.get("step"))) < 2 ** 53:
        return None
    return record


def columns_of(name, values):
    """A quantity of one block of lines as {name: column}: a timer, {min, avg, max}, is three of them."""
    kinds = set(map(type, values))
    found = {}
    if dict in kinds:
        inner = [value if type(value) is dict else {} for value in values]
        for part in dict.fromkeys(part for value in inner for part in value):
            found[f"{name}.{part}"] = column_of([value.get(part) for value in inner])
    if kinds & NUMBERS or kinds == {type(None)}:
        found[name] = column_of(values)
    return found


class Reader:
    """Puts lines together as columns, a block of lines at a time."""

    def __init__(self):
        self.parts = {}    # name: [(first line, column of a block)]
        self.arrays = {}
        self.lines = 0

    def add(self, records):
        steps = column_of([record["step"] for record in records])
        for name in dict.fromkeys(name for record in records for name in record):
            values = [record.get(name) for record in records]
            for part, column in columns_of(name, values).items():
                self.parts.setdefault(part, []).append((self.lines, column))
            having = [i for i, value in enumerate(values) if type(value) is list]
            if having:
                self.arrays.setdefault(name, Counts()).add(steps[having], [values[i] for i in having])
        self.lines += len(records)

    def columns(self):
        found = {}
        for name in list(self.parts):
            found[name] = np.full(self.lines, math.nan)
            for first, column in self.parts.pop(name):
                found[name][first:first + len(column)] = column
        return found


def read(path):
    """All of a metrics file; an empty one where it is missing."""
    reader, block, bad = Reader(), [], 0
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for text in file:
                record = parse(text)
                if record is None:
                    bad += 1
                    continue
                block.append(record)
                if len(block) == BLOCK:
                    reader.add(block)
                    block = []
    except OSError:
        return Metrics({}, {})
    if block:
        reader.add(block)
    return Metrics(without_overtaken(reader.columns()), reader.arrays, bad)


def without_overtaken(columns):
    """Lines in rising order of steps: where steps go back, what came before from there on no longer holds."""
    steps = columns.get("step", np.zeros(0))
    if np.all(steps[1:] > steps[:-1]):
        return columns
    later = np.minimum.accumulate(steps[::-1])[::-1]
    keep = np.append(steps[:-1] < later[1:], True)
    return {name: values[keep] for name, values in columns.items()}
