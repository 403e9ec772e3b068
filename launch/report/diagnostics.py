"""How energy difference and gradient magnitude hang together over steps (Nijkamp et al., 2020): correlations."""
import numpy as np

from . import drawing, text

QUANTITIES = ("energy_difference", "gradient_magnitude")
LEAST_STEPS = 100
MOST_STEPS = 50000   # of a window
MOST_LAG = 2000


def correlation(one, other, most_lag):
    """Correlations of one[t] with other[t + lag] for lag = -most_lag .. most_lag, less each one's mean over the window.

    Steps without a number take no part. Sums are divided by the number of pairs at lag 0 whatever the lag, as is
    customary: far lags, of which there are few pairs, are not blown up. nan where a quantity is constant.
    """
    good = np.isfinite(one), np.isfinite(other)
    centred = [np.where(g, v - v[g].mean(), 0.0) if g.any() else np.zeros(len(v)) for v, g in zip((one, other), good)]
    size = 1 << (2 * len(one) - 1).bit_length()
    spectra = [np.fft.rfft(values, size) for values in centred]
    sums = np.fft.irfft(np.conj(spectra[0]) * spectra[1], size)
    lags = np.arange(-most_lag, most_lag + 1)
    norms = [np.sqrt(np.sum(values ** 2)) for values in centred]
    scale = norms[0] * norms[1]
    return lags, sums[lags] / scale if scale > 0 else np.full(len(lags), np.nan)


def windows(steps, alone):
    """[(first, last) index]: the last half of the run; of one run also the quarter before it."""
    count = len(steps)
    half = max(count // 2, count - MOST_STEPS)
    found = [(half, count)]
    if alone and count >= 4 * LEAST_STEPS:
        found.append((max(count // 4, half - MOST_STEPS), half))
    return found


def windows_of(run, alone):
    """[(first step, last step, energy differences, gradient magnitudes)] with enough steps in them."""
    found = run.metrics
    if any(name not in found.columns for name in QUANTITIES):
        return []
    return [(found.steps[a], found.steps[b - 1], *(found.columns[name][a:b] for name in QUANTITIES))
            for a, b in windows(found.steps, alone) if b - a >= LEAST_STEPS]


def draw(parts, which, title):
    """Correlations of the quantities `which` = (one, other) for [(colour, energy differences, gradient magnitudes)]."""
    figure, axes = drawing.figure()
    axes.axhline(0, color=drawing.MUTED, linewidth=0.8)
    both_sides, low = which[0] != which[1], 0.0
    for place, *quantities in parts:
        most_lag = min(len(quantities[0]) // 4, MOST_LAG)
        lags, values = correlation(quantities[which[0]], quantities[which[1]], most_lag)
        if not both_sides:
            lags, values = lags[most_lag:], values[most_lag:]
        # Beyond 1.96 / sqrt(n), one in twenty of unrelated values is found.
        chance = 1.96 / np.sqrt(len(quantities[0]))
        axes.axhspan(-chance, chance, color=drawing.colour(place), alpha=0.1, linewidth=0)
        kept = np.unique(np.linspace(0, len(lags) - 1, 600).round().astype(int))
        axes.plot(lags[kept], values[kept], color=drawing.colour(place), linewidth=1.3)
        low = min(low, np.nanmin(values, initial=0.0))
    if both_sides:
        axes.axvline(0, color=drawing.LINE, linewidth=0.8)
    axes.set_ylim(max(-1.05, low - 0.1), 1.05)
    drawing.plain(axes)
    drawing.numbered(axes)
    axes.set_xlabel("lag, steps", fontsize=9)
    return drawing.svg(figure, title)


def section(runs):
    alone = len(runs) == 1
    parts, legend = [], []
    for run in runs:
        for number, (first, last, *values) in enumerate(windows_of(run, alone)):
            place = number if alone else run.place
            parts.append((place, *values))
            legend.append((place, f"{'' if alone else run.name + ': '}steps {text.step(first)}–{text.step(last)}",
                           False))
    if not parts:
        return ""
    shown = text.legend(legend)
    items = [text.card(title, draw(parts, which, title), note, legend=shown) for which, title, note in (
        ((0, 0), "Autocorrelation of the energy difference", "A slow fall, or slow swings, is a learning rate too low "
         "or an energy that sways as a whole."),
        ((1, 1), "Autocorrelation of the gradient magnitude", "How long a strength of the gradient lasts."),
        ((0, 1), "Cross-correlation", "Of the energy difference with the gradient magnitude a lag later (at negative "
         "lags, earlier)."))]
    return text.section("Correlations", text.cards(items), "Windows of recorded steps as named; each one's mean is "
                        "taken off, no trend. Pale bands: 95 % of what unrelated steps would give.")
