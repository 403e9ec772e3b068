"""What the page knows of quantities by name; those it does not know are drawn all the same."""

# name: (title, unit, what a reader should know)
KNOWN = {
    "energy_difference": ("Energy difference", "", "Mean energy of data minus that of chains: the loss of the energy. "
                          "Healthy training swings about zero; growth without return is divergence."),
    "gradient_magnitude": ("Gradient magnitude", "", "How far the gradient moves an image in one Langevin step."),
    "loss": ("Loss", "", "Of the training batch: mean cross entropy of a classifier, 1000 times the mean squared error of "
             "an autoencoder, logistic loss of a discriminator (1.386 where it tells nothing apart)."),
    "accuracy": ("Accuracy of training batches", "", "Share of the batch's images, as they were trained on, whose "
                 "largest logit is their label's, before the step."),
    "validation_accuracy": ("Validation accuracy", "", "Share of the validation images that are classified correctly."),
    "generator_loss": ("Generator loss", "", "Squared distance of the chains from what the generator made of their "
                       "latents, summed over pixels; of a hat 1000 times the mean over pixels, on past pairs."),
    "residual_size": ("Size of the residual", "", "Root mean square of Y at the end of a step's chains."),
    "latent_gradient_magnitude": ("Gradient magnitude, latents", "", "How far the gradient moves a latent in one "
                                  "Langevin step."),
    "learning_rate": ("Learning rate", "", ""),
    "generator_learning_rate": ("Learning rate, generator", "", ""),
    "attempt": ("Attempt", "", "Rises by one with each return to a checkpoint after a divergence."),
    "bank_mean_age": ("Mean age of the bank", "rounds", "Rounds of sampling since a slot was last rejuvenated."),
    "burn_in_mean_age": ("Mean age of the burn-in bank", "rounds", "Rounds of sampling since a slot began."),
    "rejuvenated": ("Rejuvenated", "slots", "Slots of this step's batch that began anew."),
    "retired": ("Retired", "slots", "Chains that this step moved from the burn-in bank to the update bank."),
    "saturated": ("Saturated", "", "Share of the chains' values outside [-1, 1]."),
    "duplicates": ("Duplicates", "", "Share of the step's chains that have another of their lane within an RMS "
                   "distance of 0.1."),
    "clipped_tensors": ("Clipped tensors", "tensors", "Weight tensors whose gradient was clipped."),
    "image_steps_per_second": ("Throughput", "image-steps/s", "Langevin steps times images, all ranks, while "
                               "sampling."),
    "seconds_data": ("Waiting for images", "s", "How long rank 0 waited for images of the store."),
}

# title, (first, drawn through; second, dashed), note
PAIRS = [
    ("Energies of data and chains", ("energy_data", "energy_chains"), "Data and chains should move together; under a "
     "discriminator (hat --mode ddls) they come apart as far as it tells them apart."),
    ("Energies of bank and fresh chains", ("energy_bank", "energy_fresh"), "Mean energy before this step's Langevin "
     "steps, of chains from the bank and of those just begun. A bank far below fresh chains has left them behind."),
]

HEALTH = ["rejuvenated", "retired", "bank_mean_age", "burn_in_mean_age", "saturated", "duplicates", "clipped_tensors"]

# Whose missing values are divergence, not merely steps at which there is nothing to measure.
ALWAYS_THERE = {"energy_difference", "gradient_magnitude", "energy_data", "energy_chains"}

ROUNDS = "Rounds since rejuvenation, share of the bank's slots over the steps."
ARRAYS = {"bank_ages": ("Ages in the bank", ROUNDS), "burn_in_ages": ("Ages in the burn-in bank", ROUNDS)}


def title_of(name):
    return KNOWN[name][0] if name in KNOWN else name.replace("_", " ").capitalize()


def is_timer(name):
    return name.startswith("seconds_") or name == "image_steps_per_second"


def is_health(name):
    return name in HEALTH or name.startswith(("bank_", "burn_in_"))


def names_in(runs):
    """Quantities of all the runs that are a number somewhere, the known ones first; parts of timers left out."""
    found = {}
    for run in runs:
        for name in run.metrics.columns:
            if name != "step" and name not in found and len(run.metrics.finite(name)[0]):
                found[name] = None
    known = [name for name in KNOWN if name in found]
    return known + [name for name in found if name not in KNOWN]


def bin_names(name, count):
    """What the bins of an array count: 0, 1, 2-3, 4-7, ... rounds of *_ages; the index of others."""
    if not name.endswith("_ages"):
        return [str(i) for i in range(count)]
    return [str(i) if i < 2 else f"{2 ** (i - 1):,}–{2 ** i - 1:,}" for i in range(count)]
