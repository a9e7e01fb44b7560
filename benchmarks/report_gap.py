"""Train the full MLP of notebook 1 in other ways: do they lead to the report's 90.66 %?

python -m benchmarks.report_gap        about a minute for each way on one core
"""

from benchmarks.bands import digits_of
from helpers.mlp import MLP
from helpers.training import quiet_epochs, test_network

# By what is changed: the factor of the pixels, and the learning rate.
WAYS = {
    "nothing": (1, 1e-3),
    "the gradient is the mean of a batch, not the sum": (1, 1e-3 / 256),
    "the pixels go from 0 to 255": (255, 1e-3),
}


def main() -> None:
    digits = digits_of("MNIST")
    for change, (factor, rate) in WAYS.items():
        network, train = MLP(seed=0), (digits.train.images * factor, digits.train.labels)
        list(quiet_epochs(network, train, rate))
        found = test_network(network, digits.test.images * factor, digits.test.labels)
        print(f"{change}: test accuracy {found:.2f} %", flush=True)


if __name__ == "__main__":
    main()
