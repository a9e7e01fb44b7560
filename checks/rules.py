"""Rules over the steps of a training, and what is said of one that is broken.

Each looks at the steps and the plan, and returns a Finding or None.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np

from checks.album import FIRST_VALIDATION, Diverging
from checks.asking import StudentError
from checks.contract import seed_fault
from checks.faults import UNKNOWN, Fault
from checks.spies import BY_HAND, OWN_GRADIENT, Finding, Note, Plan, Step, other_pixels
from checks.verdicts import Exercise, Verdict

Rule = Callable[[Sequence[Step], Plan], Finding | None]


def not_one_hot(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """update_grad was given labels."""
    if all(step.state != "not one-hot" for step in steps):
        return None
    cause = Fault(
        "labels not one-hot",
        "update_grad wants a row with a single 1 for each image, and something else is passed.",
        "Turn the labels into targets with one_hot_encode, and pass the rows of the batch.",
    )
    return Finding("update_grad got y that is not one-hot.", "rows (B, 10).", cause)


def validation_used(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Validation images went into a gradient."""
    used = {number for step in steps for number in step.images if number >= FIRST_VALIDATION}
    if not used:
        return None
    cause = Fault(
        "trained on validation",
        "the validation data are trained on too.",
        "Train on `train` alone; only accuracies are taken of `validation`.",
    )
    return Finding(f"{len(used)} validation images were trained on.", "none.", cause)


def forward_fits(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """The targets must be those of the last forward pass, at least in number."""
    for step in steps:
        if len(step.images) != len(step.labels):
            cause = Fault(
                "another forward",
                "the labels are not those of the images that went forward last.",
                "Forward a batch's images, and use their labels before any others go forward.",
            )
            found = f"{len(step.labels)} labels after a forward pass of {len(step.images)} images."
            return Finding(found, "as many labels as images.", cause)
    return None


def labels_fit(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each image must come with its own label."""
    pairs = {pair for step in steps for pair in zip(step.images, step.labels, strict=True)}
    due = {number: int(plan.album.labels[number]) for number, _ in pairs}
    wrong = [(number, label) for number, label in sorted(pairs) if due[number] != label]
    if not wrong:
        return None
    number, label = wrong[0]
    found = f"{len({n for n, _ in wrong})} images with another label; number {number} with {label}."
    wanted = f"each image with its own label; {due[number]} in this case."
    as_digits = {(due[number], label) for number, label in pairs}
    one_for_each = len(as_digits) == len({digit for digit, _ in as_digits})
    return Finding(found, wanted, OTHER_DIGITS if one_for_each else OTHER_ORDER)


OTHER_ORDER = Fault(
    "labels don't follow", "the labels are not those of the images: the two are not in the same "
    "order.", "Index both with the same numbers: images[batch] and labels[batch].",
)  # fmt: skip
OTHER_DIGITS = Fault(
    "property", "each digit has got one and the same other label: the labels themselves are "
    "changed.", "Use the labels as they come; one_hot_encode takes them so.",
)  # fmt: skip


STORIES = {
    "none": Finding("a step without a new gradient.", OWN_GRADIENT, Fault(
        "updated twice",
        "the parameters change though no gradient was computed since the step before: by another "
        "step, or because they are set by hand.",
        "Take one step for each batch, after its gradient was computed, and change no parameters.",
    )),
    "reset": Finding("a gradient that was reset before its step.", OWN_GRADIENT, Fault(
        "reset too late",
        "the gradient is set to zero between its computation and the step.",
        "Reset before the forward pass of each batch.",
    )),
    "added to": Finding("gradients that hold those of the batches before.", OWN_GRADIENT, Fault(
        "not reset",
        "the gradients of earlier batches are still there when the next one is added.",
        "Reset the gradients at the start of each batch, inside the inner loop.",
    )),
}  # fmt: skip


def gradients_reset(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each step must use the gradient of its own batch."""
    stories = {step.gradient for step in steps}
    return next((finding for story, finding in STORIES.items() if story in stories), None)


def gradients_kept(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each step must take its gradient once, and nothing else."""
    wrong = [step for step in steps if step.gradient != "clean"]
    if not wrong:
        return None
    first, kind = wrong[0], {step.gradient for step in wrong}
    if first.factors is None:
        found, likely = "something else in gradients or parameters.", CHANGED
    elif kind == {"scaled"} and len(wrong) == len(steps):
        found, likely = f"{first.factors[0]:.6g} times the gradient.", _scaled_words(steps)
    else:
        found, likely = f"a step with {_mixed_words(first.factors)}.", MIXED
    step = "See what is done between the computation of the gradient and the step."
    return Finding(found, OWN_GRADIENT, Fault("property", likely, step))


CHANGED = (
    "what a step takes is no sum of gradients of batches: gradients or parameters are changed by "
    "something else, as by noise or a penalty."
)
MIXED = "a step takes more, or less, than the gradient of its own batch, as with momentum."


def _scaled_words(steps: Sequence[Step]) -> str:
    """Say which number all gradients are multiplied by."""
    factors = np.array([(step.factors or [0])[0] for step in steps])
    sizes = np.array([len(step.images) for step in steps])
    for words, wanted in {
        "divided by the number of images": 1 / sizes, "multiplied by the number of images": sizes,
        "reversed in its sign": -1, f"multiplied by {factors[0]:.6g}": factors[0],
    }.items():  # fmt: skip
        if np.allclose(factors, wanted, rtol=1e-3):
            return f"the gradient of each batch is {words}."
    often = "as when it is cut short, or when the means over pieces of a batch are added up"
    return f"the gradient of each batch is multiplied by another number, {often}."


def _mixed_words(factors: Sequence[float]) -> str:
    """Say how often each gradient is taken, the latest first."""
    told = [
        f"{factor:.4g} times {'the latest gradient' if not n else f'that of {n} before'}"
        for n, factor in enumerate(factors)
        if factor
    ]
    return f"{', '.join(told[:3])}{', …' if told[3:] else ''}"


def rate_obeyed(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each step must have the learning rate that was asked for."""
    rates = {step.rate for step in steps}
    if all(np.isclose(rate, plan.rate, rtol=1e-6) for rate in rates):
        return None
    found = ", ".join(f"{rate:g}" for rate in sorted(rates)[:3])
    cause = Fault(
        "lr ignored",
        "steps are taken with another learning rate than was asked for.",
        "Leave the learning rate as it was passed in, for every step.",
    )
    return Finding(f"steps with the learning rate {found}.", f"{plan.rate:g}.", cause)


def batch_size_obeyed(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """All batches must be full, but for the last of an epoch."""
    allowed = {plan.batch_size, plan.n_images % plan.batch_size or plan.batch_size}
    sizes = {len(step.images) for step in steps}
    if sizes <= allowed and plan.batch_size in sizes:
        return None
    found = f"steps with the gradient of {', '.join(map(str, sorted(sizes)[:4]))} images."
    rest_only = sizes == {plan.n_images % plan.batch_size} and len(steps) == plan.n_epochs
    fault = ONCE_AN_EPOCH if rest_only else ALL_AT_ONCE if sizes == {plan.n_images} else OTHER_SIZES
    fault = EACH_IMAGE if sizes == {1} and len(steps) >= plan.n_images * plan.n_epochs else fault
    return Finding(found, f"{plan.batch_size}, and the rest at the end.", fault)


ONCE_AN_EPOCH = Fault(
    "one step an epoch", "only one step is taken in each epoch, with its last batch.",
    "See that each batch has its step, inside the loop over the batches.",
)  # fmt: skip


ALL_AT_ONCE = Fault(
    "property", "one step is taken in each epoch, with the gradient of all its images.",
    "See that each batch of batch_size images has its own gradient and its own step.",
)  # fmt: skip
EACH_IMAGE = Fault(
    "property", "a step is taken for each image.",
    "Take one step for each batch, with the gradient of all its images.",
)  # fmt: skip
OTHER_SIZES = Fault(
    "property", "not every step but the last of an epoch has the gradient of batch_size images.",
    "Follow the first batch: which images go forward in it, and when is its step taken?",
)  # fmt: skip
LAST_DROPPED = Fault(
    "last batch dropped", "the last, smaller batch of each epoch is left out.",
    "Let the loop start batches up to len(images); a slice over the end is just shorter.",
)  # fmt: skip
FIRST_BATCH = Fault(
    "first batch only", "each epoch ends after one batch.",
    "See that no `break` or `return` stands inside the inner loop.",
)  # fmt: skip
REPLACEMENT = Fault(
    "drawn with replacement", "within an epoch some images come twice and others never.",
    "Shuffle with a permutation, in which each number comes once.",
)  # fmt: skip


def epochs_fault(times: int, plan: Plan) -> Fault:
    """Return the fault of going through all images `times` times."""
    likely = f"the number of epochs is {times}, and {plan.n_epochs} were asked for."
    return Fault("epochs ignored", likely, "See how often the loop over the batches is run.")


def every_image_once(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each image must come once in every epoch."""
    times = Counter(number for step in steps for number in step.images)
    if len(times) == plan.n_images and set(times.values()) == {plan.n_epochs}:
        return None
    wanted = f"{plan.n_images} images in {plan.n_epochs} epochs: {plan.n_images * plan.n_epochs}."
    found = f"{sum(times.values())} images in all, {len(times)} different ones."
    return Finding(found, wanted, _epochs_cause(steps, times, plan))


TOO_OFTEN = Fault(
    "property", "some images take part more often than there are epochs.",
    "See that the batches of an epoch have no image in common, the last one too.",
)  # fmt: skip
LEFT_OUT = Fault(
    "property", "no image comes too often, and some are left out: an epoch ends early, or passes "
    "over them.", "Count the batches of an epoch, and see which images come in none.",
)  # fmt: skip


def _epochs_cause(steps: Sequence[Step], times: Counter[int], plan: Plan) -> Fault:
    """Return what the numbers of images and steps leave no doubt of."""
    sizes, all_full = [len(step.images) for step in steps], plan.n_images // plan.batch_size
    if len(times) == plan.n_images and len(set(times.values())) == 1:
        return epochs_fault(times[steps[0].images[0]], plan)
    if set(sizes) == {plan.batch_size} and len(steps) == plan.n_epochs * all_full:
        return LAST_DROPPED
    if set(sizes) == {plan.batch_size} and len(steps) == plan.n_epochs:
        return FIRST_BATCH
    if sum(sizes) == plan.n_epochs * plan.n_images and max(times.values()) > plan.n_epochs:
        return REPLACEMENT
    if max(times.values()) > plan.n_epochs:
        return TOO_OFTEN
    if len(times) < plan.n_images or sum(sizes) < plan.n_epochs * plan.n_images:
        return LEFT_OUT
    return UNKNOWN


def shuffled(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Every epoch must have an order of its own."""
    numbers = [number for step in steps for number in step.images]
    n_images = plan.n_images
    epochs = [numbers[start : start + n_images] for start in range(0, len(numbers), n_images)]
    if epochs[0] in (sorted(epochs[0]), sorted(epochs[0], reverse=True)):
        cause = Fault(
            "not shuffled",
            "the images are not shuffled.",
            "Draw a new permutation at the start of each epoch.",
        )
        return Finding("the images in the order of the data set.", "a random order.", cause)
    if kept := max(_kept_in_order(epoch, range(n_images)) for epoch in epochs):
        cause = Fault(
            "hardly shuffled",
            "the images are hardly shuffled: long pieces keep their order.",
            "Draw a permutation of all images, and cut the batches from that.",
        )
        found = f"{kept} of {n_images - 1} images followed by the next one of the data set."
        return Finding(found, "a random order.", cause)
    if any(epoch == epochs[0] for epoch in epochs[1:]):
        return Finding("the same order in every epoch.", "a new order each time.", SHUFFLED_ONCE)
    if any(_kept_in_order(epoch, earlier) for epoch, earlier in combinations(epochs, 2)):
        found = "pieces of an epoch's order in that of another."
        return Finding(found, "a new order each time.", SHUFFLED_ONCE._replace(likely=MOVED))
    return None


SHUFFLED_ONCE = Fault(
    "shuffled once", "the order is the same in each epoch.",
    "Draw a new permutation from one generator at the start of each epoch.",
)  # fmt: skip
MOVED = "the order of one epoch is made of that of another, turned round or in pieces."


def _kept_in_order(epoch: Sequence[int], other: Sequence[int]) -> int:
    """Return how many images are followed by the next one of another order, 0 if by chance.

    In a random order that happens once on average, and over ten times in one of 10 million.
    """
    place = {number: n for n, number in enumerate(other)}
    places = np.array([place.get(number, -1) for number in epoch])
    steps = np.diff(places)
    n_kept = max(np.count_nonzero(steps == 1), np.count_nonzero(steps == -1))
    at_home = np.count_nonzero(places == np.arange(len(epoch)))
    return int(n_kept if n_kept > 10 else at_home if at_home > 10 else 0)


RULES: tuple[tuple[str, Rule], ...] = (
    ("targets", not_one_hot),
    ("forward", forward_fits),
    ("training data", validation_used),
    ("labels", labels_fit),
    ("gradients", gradients_reset),
    ("learning rate", rate_obeyed),
    ("batches", lambda *seen: batch_size_obeyed(*seen) or gradients_kept(*seen)),
    ("epochs", every_image_once),
    ("order", shuffled),
)


WRITTEN_OUT = Fault(
    "step written out",
    "the parameters take their steps here, so a network with steps of its own, as WeightDecay, is "
    "trained as if it had none.",
    "Let the network take its own step: call update_params with the learning rate.",
)
NOT_REACHED = Fault(
    "network not used", "no turn of the loop over the batches is run, or the loop trains another "
    "network than the one that was passed in.", "See first that there are batches left to go "
    "through, as a generator gives them only once; then, that the loop uses the arguments of the "
    "function.",
)  # fmt: skip
NEVER_UPDATED = Fault(
    "never updated", "gradients are computed, and no step is taken with them.",
    "Change the parameters after each batch: update_params here, step in PyTorch.",
)  # fmt: skip
NO_GRADIENT = Fault(
    "no gradient", "steps are taken, and no gradient is computed for them.",
    "Compute the gradient of each batch before its step: update_grad here, backward in PyTorch.",
)  # fmt: skip


CRITERION_UNUSED = Fault(
    "criterion not used", "the criterion that was passed in is not called, so its loss is not what "
    "is made smaller.", "Compute each batch's loss by the argument: criterion(logits, labels).",
)  # fmt: skip


def no_training(notes: Sequence[Note], steps: Sequence[Step]) -> Finding | None:
    """The network was never changed, or not by a gradient."""
    if finding := other_pixels(notes):
        return finding
    if any(step.images for step in steps):
        return None
    calls = {note.call for note in notes}
    if {"forward", "step"} <= calls and "criterion" not in calls:
        return Finding("steps without the criterion.", "its loss for each.", CRITERION_UNUSED)
    if steps:
        return Finding("steps without a gradient.", "a gradient before each step.", NO_GRADIENT)
    if calls & {"update_grad", "criterion"}:
        return Finding("no step at all.", "a step for each batch.", NEVER_UPDATED)
    return Finding("no gradient and no step.", "both for each batch.", NOT_REACHED)


GOES_ON = Fault(
    "divergence unnoticed", "the training goes on though its loss is NaN or infinite.",
    "Call `stop_if_diverged` with the loss and the learning rate.",
)  # fmt: skip
OTHER_ERROR = Fault(
    "another error",
    "when the loss is NaN or infinite, another error comes before the DivergenceError.",
    "Call `stop_if_diverged` with the loss as soon as it is known, and raise no error of your own.",
)


SEED_IGNORED = Fault(
    "unseeded", "other seeds lead to the same order: the argument seed plays no part in it.",
    "Draw the order from the generator that was made with seed, and seed none anew.",
)  # fmt: skip


def judge_seed(
    exercise: Exercise, train: Callable[[int, Plan], Sequence[Step]], plan: Plan,
    others: Sequence[int], unseeded: Fault,
) -> Iterator[Verdict]:  # fmt: skip
    """See that the seed 0 gives the same order again, and each of the others another."""
    first, again = ([step.images for step in train(0, plan)] for _ in range(2))
    short = plan._replace(n_epochs=1)
    if again != first:
        yield exercise.wrong("seed", "another order with the same seed.", "the same.", unseeded)
        return
    orders = ([step.images for step in train(seed, short)] for seed in others)
    same = (bool(order) and order == first[: len(order)] for order in orders)
    if fault := seed_fault(SEED_IGNORED, others, same):
        yield exercise.wrong("seed", "the same order with another seed.", "another.", fault)


def judge_stopping(
    exercise: Exercise, train: Callable[[Plan], object], plan: Plan, seed: int
) -> Verdict:  # fmt: skip
    """Judge whether a training ends with a DivergenceError when its loss is NaN, or infinite."""
    last = plan.n_epochs * -(-plan.n_images // plan.batch_size) - 1
    for loss, n_steps in ((np.nan, 1), (np.inf, last)):
        found, fault = f"no error when the loss is {loss} after {n_steps} steps.", GOES_ON
        try:
            train(plan._replace(album=Diverging(seed, loss, n_steps)))
        except StudentError as error:
            if type(error.error).__name__ == "DivergenceError":
                continue
            found, fault = f"{error}.", OTHER_ERROR
        wanted = "a DivergenceError, as `stop_if_diverged` raises it."
        return exercise.wrong("divergence", found, wanted, fault)
    return exercise.right("divergence")


def other_batches(
    steps: Sequence[Step], batches: Sequence[Iterable[int]], fault: Fault
) -> Finding | None:
    """Say which step is the first that has not the images of its batch."""
    pairs = itertools.zip_longest((step.images for step in steps), batches, fillvalue=())
    for n, (found, wanted) in enumerate((map(sorted, pair) for pair in pairs), 1):
        if found != wanted:
            return Finding(_batch_words(n, found), _batch_words(n, wanted), fault)
    return None


def _batch_words(n: int, images: Sequence[int]) -> str:
    told = ", ".join(map(str, images))
    return f"the images {told} in step {n}." if images else f"no step {n}."


def judge_steps(
    exercise: Exercise, notes: Sequence[Note], steps: Sequence[Step], plan: Plan
) -> Iterator[Verdict]:
    """Yield a verdict for each rule up to a broken one; those after it mean little."""
    if finding := no_training(notes, steps):
        yield exercise.wrong("steps", *finding)
        return
    for part, rule in RULES:
        if finding := rule(steps, plan):
            yield exercise.wrong(part, *finding)
            return
        yield exercise.right(part)
    if any(note.state == BY_HAND for note in notes):
        told = "steps that are written out.", "calls of update_params."
        yield exercise.wrong("steps", *told, WRITTEN_OUT)
