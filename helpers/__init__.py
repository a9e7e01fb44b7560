"""What students read and write, and what their code stands on.

The exercises are in three modules:

    mlp         the multi-layer perceptron of notebook 1
    training    one-hot code, training loop and accuracy of notebook 1
    cnn         the convolutional network of notebook 2

The others are the course's:

    mnist, stand_in             the digits, and what takes their place offline
    evaluation                  where networks make mistakes, and which of two makes more
    bands, record               what to expect: measured results
    deformation                 training images turned, slanted, shifted and bent
    experiments                 the small experiments of notebook 1
    notebook                    what a notebook's cell needs: guesses, code on the page

Checks, figures and the page have folders of their own: checks/, plotting/, playground/. What all of
them stand on, files, the network, threads and the GPU, is in machine/.
"""
