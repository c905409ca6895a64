"""Run by two processes: what they train together is what one trains on the rows of both, and goes on to the same bits."""

import json
import os
import pathlib
import signal
import sys

import jax
import numpy as np

import kyeo
from kyeo.callbacks.backup import EXIT_CODE

FOLDER, PORT, MINE = sys.argv[1], sys.argv[2], int(sys.argv[3])
kyeo.distribution.initialize(f"127.0.0.1:{PORT}", 2, MINE)
assert jax.device_count() == 4 and jax.local_device_count() == 2
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 20, 3)).astype("float32"), RNG.normal(size=(2, 20, 1)).astype("float32")
# divided by rows; and with weights of which each process holds a half, so that both bring the same rows
LAYOUTS = kyeo.distribution.LayoutMap(kyeo.distribution.DeviceMesh((2, 2), ["model", "batch"]))
LAYOUTS[".*dense_a.*kernel"] = (None, "model")
DATA, MODEL = kyeo.distribution.DataParallel(), kyeo.distribution.ModelParallel(layout_map=LAYOUTS, batch_dim_name="batch")


def model():
    kyeo.utils.set_random_seed(0)
    made = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(4, "tanh", name="dense_a"), kyeo.layers.BatchNormalization(),
                            kyeo.layers.Dense(1)])
    made.compile(kyeo.optimizers.Adam(0.05), "mse", metrics=["mae"])
    return made


class Stop(kyeo.callbacks.Callback):
    """The last process is asked to end, in the middle of an epoch, if it is to stop.

    Where it is not, the same callback takes the same steps to a dispatch: many in a loop may round otherwise.
    """

    def __init__(self, stops):
        super().__init__()
        self.steps, self.stops = 0, stops

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.stops and self.steps == 4 and MINE == 1:
            os.kill(os.getpid(), signal.SIGTERM)


def batches():
    """A source whose place the checkpoint must know."""
    while True:
        for start in range(0, 16, 4):
            yield X[0, start:start + 4], Y[0, start:start + 4]


def fit(data, folder=None, stops=False):
    made, room, own = model(), kyeo.callbacks, f"{folder}-of-{MINE}"
    options = [room.BackupAndRestore(folder or "-", 3, delete_checkpoint=False), room.CSVLogger(f"{own}.csv", append=True),
               room.TensorBoard(f"{own}/board", histogram_freq=2),
               room.ModelCheckpoint(f"{own}/best.weights.h5", "loss", save_best_only=True, save_weights_only=True)]
    options = options if folder else []
    history = made.fit(**data(), epochs=4, verbose=0, shuffle=False, callbacks=[*options, Stop(stops)]).history
    return made, [*made.get_weights(), *[v.numpy() for v in made.optimizer.variables], *history.values()]


told = {}
for name, distribution, rows, data in [
    ("data", DATA, MINE, lambda: {"x": X[MINE], "y": Y[MINE], "batch_size": 12}),
    ("model", MODEL, 0, lambda: {"x": batches(), "steps_per_epoch": 3}),
]:
    kyeo.distribution.set_distribution(distribution)
    _, wanted = fit(data)
    try:
        fit(data, f"{FOLDER}/{name}", stops=True)
    except SystemExit as error:
        told[f"{name} stopped"] = [error.code == EXIT_CODE, len(os.listdir(f"{FOLDER}/{name}")) == 2]
    made, got = fit(data, f"{FOLDER}/{name}")
    told[f"{name} bits"] = [np.array_equal(a, b) for a, b in zip(wanted, got, strict=True)]
    written, again = f"{FOLDER}/{name}-of-0", model()  # by the first for both
    again.load_weights(f"{written}/best.weights.h5")
    told[f"{name} files"] = [
        len(pathlib.Path(f"{written}.csv").read_text().splitlines()) == 5, len(os.listdir(f"{written}/board/train")) == 1,
        not any("-of-1" in file for file in os.listdir(FOLDER)),
        *map(np.array_equal, made.get_weights(), again.get_weights())]
    outputs = made.predict(X[rows], batch_size=8, verbose=0)
    told[f"{name} rows"] = [np.abs(outputs - made.predict_on_batch(X[rows])).max()]
    made.save(f"{FOLDER}/{name}-{MINE}.keras")
    again = kyeo.saving.load_model(f"{FOLDER}/{name}-{MINE}.keras")
    told[f"{name} file"] = [np.array_equal(a, b) for a, b in zip(made.get_weights(), again.get_weights(), strict=True)]
    if name == "data":
        together = got
        try:
            fit(data, stops=True)
        except SystemExit as error:
            told["stopped without checkpoints"] = [error.code == 128 + signal.SIGTERM]
        try:
            made.fit(X[MINE][:20 - 13 * MINE], Y[MINE][:20 - 13 * MINE], batch_size=12, verbose=0)
        except ValueError as error:
            told["error"] = str(error)
        try:
            kyeo.Variable(float(MINE), name="own")
        except ValueError as error:
            told["error"] += str(error)
kyeo.distribution.set_distribution(None)
whole = [np.concatenate([array[:, :12].reshape(24, -1), array[:, 12:].reshape(16, -1)]) for array in (X, Y)]
_, alone = fit(lambda: {"x": whole[0], "y": whole[1], "batch_size": 24})
told["as one"] = [np.abs(np.subtract(a, b)).max() for a, b in zip(together, alone, strict=True)]
print("here", json.dumps(told, default=float))
