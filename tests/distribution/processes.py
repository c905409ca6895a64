"""Run as one of several processes (number, how many, port): they train one model, each on its own rows."""

import json
import sys

import numpy as np

import kyeo

number, count, port = map(int, sys.argv[1:])
if count > 1:
    kyeo.distribution.initialize(f"localhost:{port}", count, number)
    kyeo.distribution.set_distribution(kyeo.distribution.DataParallel())
kyeo.utils.set_random_seed(0)
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(3, 2, 5, 4)).astype("float32"), RNG.integers(0, 3, (3, 2, 5))  # batch, process, row
if count > 1:
    X, Y = X[:, number], Y[:, number]
X, Y = X.reshape(-1, 4), Y.reshape(-1)
model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(6, "relu"), kyeo.layers.Dense(3, "softmax")])
model.compile(kyeo.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(X, Y, batch_size=10 // count, epochs=2, shuffle=False, verbose=0).history
scores = [*history["loss"], *history["accuracy"], *model.evaluate(X, Y, verbose=0), *model.train_on_batch(X, Y)]
weights = [float(np.abs(w).sum()) for w in model.get_weights()]
print(json.dumps([scores + weights, model.predict(X, verbose=0).tolist(), model.predict(X[:3], verbose=0).tolist()]))
if count > 1:
    try:
        model.fit(X[:5 + number], Y[:5 + number], verbose=0)
    except ValueError as error:
        print(json.dumps(str(error)))
