"""Train the full MLP of notebook 1 in other ways: do they lead to the report's 90.66 %?

python -m benchmarks.report_gap        about a minute for each way on one core
"""

import numpy as np

from benchmarks.bands import digits_of
from helpers.mlp import MLP
from helpers.threads import few_threads
from helpers.training import one_hot_encode, test_network, train_epoch

# By what is changed: the factor of the pixels, the learning rate, the number of epochs.
WAYS = {
    "nothing": (1, 1e-3, 100),
    "the gradient is the mean of a batch, not the sum": (1, 1e-3 / 256, 100),
    "the pixels go from 0 to 255": (255, 1e-3, 100),
}


def main() -> None:
    digits = digits_of("MNIST")
    for change, (factor, rate, n_epochs) in WAYS.items():
        network, rng = MLP(seed=0), np.random.default_rng(0)
        images, targets = digits.train.images * factor, one_hot_encode(digits.train.labels)
        with few_threads():
            for _ in range(n_epochs):
                order = rng.permutation(len(images))
                train_epoch(network, images, targets, order, rate, 256)
        found = test_network(network, digits.test.images * factor, digits.test.labels)
        print(f"{change}: test accuracy {found:.2f} %", flush=True)


if __name__ == "__main__":
    main()
