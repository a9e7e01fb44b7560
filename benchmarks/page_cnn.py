"""Train the CNN that the page carries beside the notebook's, by the record's recipe.

python -m benchmarks.page_cnn    writes playground/record_cnn.json (five minutes on one core)
"""

from benchmarks.bands import digits_of
from helpers.cnn import Net, test_accuracy
from helpers.recipe import RECIPES, train_recipe
from playground.export import export_record_cnn


def main() -> None:
    digits = digits_of("MNIST")
    network = train_recipe(RECIPES["CNN"], digits.train)
    assert isinstance(network, Net)
    export_record_cnn(network, digits)
    print(f"test accuracy {test_accuracy(network, *digits.test):.2f} %")


if __name__ == "__main__":
    main()
