"""What the checks of records.h5 say: energies, margins over replicates, answers."""
import numpy as np

SMALL, VERIFICATION, NATURAL, LAST, GRADIENT = 0, 1, 2, 6, 7  # purposes
RULES = ("verified_any_step", "final_step", "any_step", "majority_vote", "resubmission")


def headline_rule(protocols):
    """The first that is scored, as the program takes it; None without an attack."""
    return next((rule for rule in RULES if rule in protocols), None)


def last_of(image, restart):
    """Places of the last row of each image and restart, rows in the order of the file."""
    if not len(image):
        return np.zeros(0, int)
    return np.nonzero(np.append((image[1:] != image[:-1]) | (restart[1:] != restart[:-1]), True))[0]


def rows_of(group, *purposes):
    return np.nonzero(np.isin(group["purpose"][()], purposes))[0]


def natural_energies(file, name):
    """`first_energy` or `last_energy` of the natural checks; nothing in records that do not keep them."""
    judge = file["judge"]
    return judge[name][()][rows_of(judge, NATURAL)] if name in judge else np.zeros(0)


def attacked_energies(file, name):
    """The same where the attack ended in each image and restart."""
    small, judge = file["small"], file["judge"]
    rows = rows_of(small, SMALL, GRADIENT)
    ends = rows[last_of(small["image"][()][rows], small["restart"][()][rows])]
    values = small[name][()][ends]
    if name not in judge:
        return values
    # The judge's look at the last image comes after the last small sample, or there is none.
    last = rows_of(judge, LAST)
    seen = set(zip(judge["image"][()][last].tolist(), judge["restart"][()][last].tolist()))
    open_ends = [place for place, key in enumerate(zip(small["image"][()][ends].tolist(), small["restart"][()][ends].tolist()))
                 if key not in seen]
    return np.concatenate([judge[name][()][last], values[open_ends]])


def margins(file, purpose):
    """The true class's logit less the largest other, of every stored replicate of a purpose's checks."""
    judge = file["judge"]
    rows = rows_of(judge, purpose)
    if not len(rows):
        return np.zeros(0)
    logits = judge["logits"][()][rows]
    label = file["label"][()][judge["image"][()][rows]]
    own = np.take_along_axis(logits, label[:, None, None], axis=2)[:, :, 0]
    others = logits.copy()
    np.put_along_axis(others, np.broadcast_to(label[:, None, None], (*logits.shape[:2], 1)), -np.inf, axis=2)
    return (own - others.max(axis=2)).ravel()


def natural_answers(file):
    """{row of the image: label of its natural check}"""
    judge = file["judge"]
    rows = rows_of(judge, NATURAL)
    return dict(zip(judge["image"][()][rows].tolist(), judge["label"][()][rows].tolist()))


def attacked_answers(file):
    """{row of the image: label where its last attack ended}, the judge's where it looked there."""
    answers = {}
    # Rows as (order, label): restart, step, and who says it; the judge's last look stands behind every step.
    for group, purposes, rank in ((file["small"], (SMALL, GRADIENT), 0), (file["judge"], (VERIFICATION, LAST), 1)):
        purpose = group["purpose"][()]
        image, restart, step, label = (group[name][()] for name in ("image", "restart", "step", "label"))
        for row in rows_of(group, *purposes):
            order = (restart[row], np.inf if purpose[row] == LAST else step[row], rank)
            key = int(image[row])
            if key not in answers or answers[key][0] <= order:
                answers[key] = (order, int(label[row]))
    return {image: label for image, (_, label) in answers.items()}


def finite_shares(series, bins=40):
    """Bins for all of [(name, values)] and [(name, number of values, share in each bin)]; none where values are alike."""
    finite = [(name, values[np.isfinite(values)]) for name, values in series]
    finite = [(name, values) for name, values in finite if len(values)]
    if not finite:
        return None, []
    everything = np.concatenate([values for _, values in finite])
    edges = np.histogram_bin_edges(everything, bins=bins, range=tuple(np.quantile(everything, [0.005, 0.995])))
    if not edges[-1] > edges[0]:
        return None, []
    return edges, [(name, len(values), np.histogram(values, edges)[0] / len(values)) for name, values in finite]
