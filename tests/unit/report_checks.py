"""Checks of the report's package (launch/report/), run by report_test.cpp: python report_checks.py FOLDER_OF_LAUNCH."""
import io
import json
import math
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, sys.argv.pop(1))

import numpy as np
from PIL import Image
from report import chains, curves, diagnostics, drawing, metrics, pictures, quantities, runs, text


class Folder(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def metrics_of(self, lines):
        path = self.folder / "metrics.jsonl"
        path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
        return metrics.read(path)


class Metrics(Folder):
    def test_columns_are_as_long_as_the_run_whenever_a_quantity_comes_or_goes(self):
        found = self.metrics_of([{"step": s, "late": s / 2} if s > metrics.BLOCK + 5 else {"step": s, "early": 1}
                                 for s in range(1, 2 * metrics.BLOCK + 3)])
        self.assertEqual(len(found.steps), 2 * metrics.BLOCK + 2)
        self.assertTrue(np.isnan(found.columns["late"][:metrics.BLOCK + 5]).all())
        steps, values = found.finite("late")
        np.testing.assert_array_equal(values, steps / 2)
        self.assertEqual(np.isfinite(found.columns["early"]).sum(), metrics.BLOCK + 5)

    def test_timers_have_parts_and_what_is_no_number_is_nan(self):
        found = self.metrics_of([{"step": 1, "seconds_x": {"min": 1, "avg": 2.5, "max": None}, "a": None, "b": "text",
                                  "c": True, "d": 10 ** 400, "e": [1, None], "f": 3},
                                 {"step": 2, "seconds_x": 7, "f": {"avg": 1}}])
        np.testing.assert_array_equal(found.columns["seconds_x.avg"], [2.5, math.nan])
        np.testing.assert_array_equal(found.columns["seconds_x"], [math.nan, 7])
        np.testing.assert_array_equal(found.columns["f"], [3, math.nan])
        self.assertEqual(found.columns["c"][0], 1)
        for name in ("seconds_x.max", "a", "d"):
            self.assertTrue(np.isnan(found.columns[name]).all(), name)
        self.assertNotIn("b", found.columns)

    def test_damaged_lines_are_counted_and_left_out(self):
        found = self.metrics_of([{"step": 1, "a": 1}, "nonsense\n", "[1]\n", '{"step": null}\n', '{"step": "2"}\n',
                                 "\0\0\n", '{"a": 1}\n', "[" * 100000 + "\n", {"step": 2, "a": 2}, '{"step": 3, "a'])
        self.assertEqual(found.bad, 8)
        np.testing.assert_array_equal(found.columns["a"], [1, 2])
        self.assertEqual(len(metrics.read(self.folder / "none").steps), 0)

    def test_where_steps_go_back_the_later_lines_hold(self):
        found = self.metrics_of([{"step": s, "attempt": a, "bank_ages": [s]}
                                 for a, s in [(0, 1), (0, 2), (0, 3), (0, 4), (1, 3), (1, 4), (1, 5)]])
        np.testing.assert_array_equal(found.steps, [1, 2, 3, 4, 5])
        np.testing.assert_array_equal(found.columns["attempt"], [0, 0, 1, 1, 1])
        edges, means = found.arrays["bank_ages"].table()
        np.testing.assert_array_equal(edges, [1, 2, 3, 4, 5, 6])
        np.testing.assert_array_equal(means[:, 0], [1, 2, 3, 4, 5])

    def test_counts_of_a_long_run_are_means_over_stretches(self):
        lines = 5 * metrics.MOST_ROWS + 3
        rng = np.random.default_rng(1)
        table = rng.integers(0, 9, (lines, 4))
        counts = metrics.Counts()
        at = 0
        while at < lines:  # in blocks that fit no stretch
            end = min(at + 37, lines)
            counts.add(np.arange(at, end) + 1.0, [row.tolist() + ([None] if i % 2 else []) for i, row in
                                                  enumerate(table[at:end])])
            at = end
        edges, means = counts.table()
        self.assertLessEqual(len(means), metrics.MOST_ROWS)
        self.assertEqual((edges[0], edges[-1]), (1, lines + 1))
        self.assertTrue((np.diff(edges) > 0).all())
        for first, after, mean in zip(edges[:-1].astype(int), edges[1:].astype(int), means):
            np.testing.assert_allclose(mean[:4], table[first - 1:after - 1].mean(axis=0), rtol=1e-12)
            self.assertEqual(mean[4:].sum(), 0)


class Correlations(unittest.TestCase):
    def test_agrees_with_sums_written_out(self):
        rng = np.random.default_rng(2)
        one, other = rng.normal(size=60), rng.normal(size=60)
        one[[3, 17]], other[40] = math.nan, math.inf
        lags, values = diagnostics.correlation(one, other, 15)
        a, b = (np.where(np.isfinite(v), v - v[np.isfinite(v)].mean(), 0) for v in (one, other))
        for lag, value in zip(lags, values):
            pairs = sum(a[t] * b[t + lag] for t in range(60) if 0 <= t + lag < 60)
            self.assertAlmostEqual(value, pairs / np.sqrt((a ** 2).sum() * (b ** 2).sum()), places=12)

    def test_a_quantity_that_follows_another_peaks_at_its_delay(self):
        one = np.random.default_rng(3).normal(size=5000)
        lags, values = diagnostics.correlation(one, np.roll(one, 7), 50)
        self.assertEqual(lags[np.argmax(values)], 7)
        self.assertGreater(values.max(), 0.99)

    def test_nothing_is_said_of_constants(self):
        self.assertTrue(np.isnan(diagnostics.correlation(np.ones(50), np.arange(50.0), 5)[1]).all())
        self.assertTrue(np.isnan(diagnostics.correlation(np.full(50, math.nan), np.ones(50), 5)[1]).all())

    def test_windows_are_the_last_half_and_the_quarter_before_it(self):
        steps = np.arange(1000)
        self.assertEqual(diagnostics.windows(steps, alone=True), [(500, 1000), (250, 500)])
        self.assertEqual(diagnostics.windows(steps, alone=False), [(500, 1000)])
        long = np.arange(10 * diagnostics.MOST_STEPS)
        self.assertTrue(all(b - a <= diagnostics.MOST_STEPS for a, b in diagnostics.windows(long, alone=True)))


class Drawing(unittest.TestCase):
    def test_thinning_loses_no_spike(self):
        values = np.zeros(10007)
        values[[5, 9000]] = [-3, 8]
        steps, mean, low, high = drawing.thin(np.arange(10007), values, 300)
        self.assertEqual((len(steps), len(mean), low.min(), high.max()), (300, 300, -3, 8))
        self.assertTrue((np.diff(steps) > 0).all())

    def test_a_staircase_keeps_its_corners(self):
        steps, values = drawing.changes(np.arange(1, 1001), np.where(np.arange(1000) < 777, 2.0, 1.0), 300)
        self.assertEqual((steps.tolist(), values.tolist()), ([1, 778, 1000], [2, 1, 1]))

    def test_the_frame_leaves_out_an_outlier_but_not_a_run(self):
        calm = np.sin(np.arange(500.0))
        self.assertLess(drawing.frame([np.append(calm, 1e6)])[1], 10)
        low, high = drawing.frame([calm, calm + 100])
        self.assertTrue(low < -1 and high > 101)

    def test_numbers_and_ages_read_well(self):
        self.assertEqual([text.number(v) for v in (0, 0.12345, 1e-5, 123456.0, math.nan, -2.5e9)],
                         ["0", "0.1235", "1e-5", "123,456", "–", "-2.5e9"])
        self.assertEqual(quantities.bin_names("bank_ages", 5), ["0", "1", "2–3", "4–7", "8–15"])


class Runs(Folder):
    def run_of(self, lines):
        self.metrics_of(lines)
        return runs.read(self.folder, "run", 0, 10 ** 6, 12)

    def test_drops_rollbacks_and_events_are_found(self):
        run = self.run_of([{"step": s, "learning_rate": 1e-4 if s < 50 else 2e-5, "attempt": 0 if s < 30 else 2,
                            "rejuvenated": 1.0 if s in (7, 60) else 0.0, "retired": 1.0} for s in range(1, 201)])
        self.assertEqual(run.drops, [(50, 2e-5)])
        self.assertEqual(run.rollbacks, [(30, 2)])
        self.assertEqual(curves.tick_steps(run, "rejuvenated").tolist(), [7, 60])
        self.assertEqual(len(curves.tick_steps(run, "retired")), 0)  # 200 are too many to be told apart
        smooth = self.run_of([{"step": s, "learning_rate": 0.99 ** s} for s in range(1, 100)])
        self.assertEqual(smooth.drops, [])

    def test_names_tell_folders_apart(self):
        self.assertEqual(runs.names_of([pathlib.Path(p) for p in ("/a/x/run", "/a/y/run", "/b/z", "/b/z")]),
                         ["x/run", "y/run", "z (1)", "z (2)"])

    def test_grids_are_chosen_evenly_made_small_and_damaged_ones_counted(self):
        samples = self.folder / "samples"
        samples.mkdir()
        noise = np.random.default_rng(4).integers(0, 255, (300, 300, 3), dtype=np.uint8)
        for step in range(0, 3000, 100):
            Image.fromarray(noise).save(samples / f"{step:08}.png")
        (samples / "00001700.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
        (samples / "00002900.png").write_bytes((samples / "00002800.png").read_bytes()[:5000])
        found = pictures.read(samples, 30, 600_000)
        self.assertEqual((len(found.pictures), found.count, found.bad), (28, 30, 2))
        self.assertLess(sum(len(uri) for _, uri in found.pictures), 650_000)
        few = pictures.read(samples, 4, 600_000)
        self.assertEqual([caption for caption, _ in few.pictures], ["step 0", "step 1,000", "step 1,900"])
        small = io.BytesIO()
        Image.new("L", (8, 8)).save(small, "PNG")
        (samples / "00000000.png").write_bytes(small.getvalue())
        self.assertTrue(pictures.read(samples, 4, 600_000).pictures[0][1].startswith("data:image/png"))

    def test_scores_take_their_step_from_the_store_or_the_file(self):
        for name, found in {"score-a": {"distance": 2.0, "a": {"store": "/x/data.h5"},
                                        "b": {"store": "/x/step-000001000.h5"}, "count": 5},
                            "score-step-10": {"distance": 1.5, "a": None},
                            "score-other": {"distance": 3.0}, "score-none": {"count": 3}}.items():
            (self.folder / f"{name}.json").write_text(json.dumps(found))
        (self.folder / "score-broken.json").write_text('{"distance"')
        scores = chains.read_scores(self.folder)
        self.assertEqual([s.distance for s in scores], [1.5, 2.0, 3.0])
        self.assertEqual([s.step for s in scores[:2]], [10, 1000])
        self.assertTrue(math.isnan(scores[2].step))

    def test_steps_of_chains_are_chosen_evenly_on_a_logarithmic_axis(self):
        steps = np.arange(100001.0)
        chosen = steps[chains.chosen_steps(steps)]
        self.assertLessEqual(len(chosen), chains.MOST_STEPS)
        self.assertEqual((chosen[0], chosen[-1]), (0, 100000))
        self.assertGreater((chosen < 1000).sum(), len(chosen) / 3)


if __name__ == "__main__":
    unittest.main()
