"""Train the CNN that the page carries beside the notebook's, by the record's recipe.

python -m benchmarks.page_cnn    writes playground/record_cnn.json (eight minutes of one core)
"""

import json

from benchmarks.bands import digits_of
from benchmarks.recipe import RECIPES, train_recipe
from helpers.cnn import Net, predict_probabilities, test_accuracy
from machine.files import atomic_write
from playground.content import usual_belief
from playground.export import JUDGED, RECORD_CNN
from playground.layers import describe_cnn


def main() -> None:
    digits = digits_of("MNIST")
    network = train_recipe(RECIPES["CNN"], digits.train)[0]
    assert isinstance(network, Net)
    beliefs = predict_probabilities(network, digits.validation.first(JUDGED).images)
    with atomic_write(RECORD_CNN) as file:
        content = {"layers": describe_cnn(network), "sure": usual_belief(beliefs)}
        file.write(json.dumps(content).encode())
    print(f"test accuracy {test_accuracy(network, *digits.test):.2f} %")


if __name__ == "__main__":
    main()
