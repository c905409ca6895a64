"""Kills trainings with SIGKILL again and again and compares what comes out with a run that was left alone.

    python scripts/kill_matrix.py --kills 200
    python scripts/kill_matrix.py --kills 200 --devices 2   # the same by DataParallel over so many devices of the CPU
    python scripts/kill_matrix.py --kills 50 --processes 2  # by processes with rows of their own: one is killed, or all
    python scripts/kill_matrix.py --kills 200 --more        # other kinds of training, two of them by `resume=`

Each run is one combination of a model (Dropout, BatchNormalization, EarlyStopping, a schedule) and a kind of data
(arrays, a generator, a PyDataset with workers); with `--more`, of a step of one's own, several steps in one execution,
gradients that accumulate under averages of weights, and weights of classes or rows. A process is forked for it, killed
at a random moment, or at a random call inside a save, and started again until it ends. SHA-256 of the weights, the
optimizer's variables, the metrics, the History, the CSV log, the TensorBoard log and the file of ModelCheckpoint must
be those of the reference.

The parent imports Kyeo once and never computes, so that its children can be forked and start JAX for themselves.
"""

import argparse
import hashlib
import importlib
import itertools
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("KYEO_COMPILE_CACHE", "0")

import jax
import numpy as np

import kyeo
from kyeo.callbacks.events import read_scalars
from kyeo.core import tensors

MODELS = ("dropout", "batchnorm", "early stopping", "schedule")
MORE = ("own step", "executions", "averages", "weighted")  # for --more
DATA = ("arrays", "generator", "pydataset")
EPOCHS, ROWS, BATCH = 5, 88, 8
DEVICES = PROCESSES = 1


def model_for(kind):
    kyeo.utils.set_random_seed(7)
    layers = [kyeo.layers.Dense(6, "relu")]
    if kind in ("dropout", "all"):
        layers.append(kyeo.layers.Dropout(0.3))
    if kind in ("batchnorm", "all"):
        layers.append(kyeo.layers.BatchNormalization())
    rate = 0.05
    if kind in ("schedule", "all"):
        rate = kyeo.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    options = {"use_ema": True, "gradient_accumulation_steps": 3} if kind == "averages" else {}
    model = (Stepping if kind == "own step" else kyeo.Sequential)([kyeo.Input((4,)), *layers, kyeo.layers.Dense(2)])
    goal = {"loss": "mse", "metrics": ["mae"]}
    if kind == "weighted":
        loss = kyeo.losses.SparseCategoricalCrossentropy(from_logits=True)
        goal = {"loss": loss, "weighted_metrics": ["accuracy"]}
    model.compile(kyeo.optimizers.Adam(rate, **options), **goal, steps_per_execution=3 if kind == "executions" else 1)
    return model


class Stepping(kyeo.Sequential):
    """A model with a step of its own, that draws."""

    def train_step(self, state, data):
        trainable, non_trainable, optimizer, metrics = state
        (_, (loss, _, non_trainable, metrics)), gradients = jax.value_and_grad(
            self.compute_loss_and_updates, has_aux=True)(
                trainable, non_trainable, metrics, *data[:2], None, training=True, optimizer_variables=optimizer)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
        return {"loss": loss}, (trainable, non_trainable, optimizer, metrics)


def rows(model_kind=""):
    """Arrays as `fit` takes them: with labels and weights of rows where those are tried."""
    draw = np.random.default_rng(3 + (jax.process_index() if PROCESSES > 1 else 0))
    x = draw.normal(size=(ROWS, 4)).astype("float32")
    if model_kind == "weighted":
        return x, (x[:, :1] > 0).astype("int32"), np.abs(x[:, 3])
    return x, np.stack([x[:, 0] * x[:, 1], x[:, 2]], 1).astype("float32")


class Batches(kyeo.utils.PyDataset):
    """Changes the order of its rows at the end of each epoch."""

    def __init__(self, model_kind, **kwargs):
        super().__init__(**kwargs)
        self.arrays = rows(model_kind)
        self.order, self.draw = np.arange(ROWS), np.random.default_rng(int(1000 * abs(self.arrays[0][0, 0])))

    def __len__(self):
        return ROWS // BATCH

    def __getitem__(self, index):
        chosen = self.order[index * BATCH:(index + 1) * BATCH]
        return tuple(array[chosen] for array in self.arrays)

    def on_epoch_end(self):
        self.draw.shuffle(self.order)


def endless(model_kind):
    arrays = rows(model_kind)
    draw = np.random.default_rng(int(1000 * abs(arrays[0][0, 0])))
    while True:
        chosen = draw.integers(0, ROWS, BATCH)
        yield tuple(array[chosen] for array in arrays)


def data_for(kind, model_kind):
    if kind == "arrays":
        arrays = dict(zip(("x", "y", "sample_weight"), rows(model_kind)))
        classes = {"class_weight": {0: 0.5, 1: 2.0}} if model_kind == "weighted" else {}
        return {**arrays, **classes, "batch_size": BATCH + 1}  # so that the last batch is smaller
    if kind == "generator":
        return {"x": endless(model_kind), "steps_per_epoch": 11}
    return {"x": Batches(model_kind, workers=2)}


def train(model_kind, data_kind, folder, backup):
    """The script that is killed. Writes what came out to folder/result."""
    if DEVICES * PROCESSES > 1:
        kyeo.distribution.set_distribution(kyeo.distribution.DataParallel())
        assert len(kyeo.distribution.list_devices()) == DEVICES * PROCESSES
    model = model_for(model_kind)
    validation = tuple(array[:24] for array in rows(model_kind))
    callbacks = [
        kyeo.callbacks.CSVLogger(folder / "log.csv", append=True),
        kyeo.callbacks.ModelCheckpoint(folder / "best.weights.h5", "val_loss", save_best_only=True,
                                       save_weights_only=True),
    ]
    resume = {}
    if model_kind in ("own step", "averages"):
        resume = {"resume": backup}
    else:
        callbacks.append(kyeo.callbacks.BackupAndRestore(backup, save_freq=4, delete_checkpoint=False))
    if model_kind == "averages":
        callbacks.insert(0, kyeo.callbacks.SwapEMAWeights(swap_on_epoch=True))
    # one that does not listen to steps lets many of them go into one dispatch
    frequency = 3 if model_kind not in ("schedule", "executions") else "epoch"
    callbacks.append(kyeo.callbacks.TensorBoard(folder / "board", update_freq=frequency))
    if model_kind in ("early stopping", "all"):
        callbacks.append(kyeo.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True))
    if model_kind in ("early stopping", "dropout", "own step", "executions", "averages"):
        callbacks.append(kyeo.callbacks.ReduceLROnPlateau("val_loss", patience=1, factor=0.5))
    history = model.fit(**data_for(data_kind, model_kind), **resume, epochs=EPOCHS, verbose=0, callbacks=callbacks,
                        validation_data=validation, validation_batch_size=8)
    written = folder if PROCESSES == 1 else folder.parent / "0"  # the first writes for all
    best = model_for(model_kind)
    best.load_weights(written / "best.weights.h5")
    parts = {
        "weights": [np.asarray(w) for w in model.get_weights()],
        "optimizer": [np.asarray(v) for v in model.optimizer.variables],
        "metrics": [np.asarray(v) for m in model.metrics for v in m.variables],
        "history": json.dumps([history.epoch, history.history]),
        "csv": (written / "log.csv").read_text(),
        "best": [np.asarray(w) for w in best.get_weights()],
        "board": json.dumps(board(written / "board")),
    }
    digests = {name: hashlib.sha256(part.encode() if isinstance(part, str) else b"".join(
        a.tobytes() for a in part)).hexdigest() for name, part in parts.items()}
    (folder / "result.part").write_text(json.dumps(digests))
    os.replace(folder / "result.part", folder / "result")


def board(folder):
    """What the event files hold, without times."""
    return [(run.name, *event) for run in sorted(folder.iterdir()) for event in read_scalars(run)]


def child(model_kind, data_kind, folder, kill_at_call, number, port):
    """Run the script in a process of its own; gives its id."""
    process = os.fork()
    if process:
        return process
    try:
        if PROCESSES > 1:  # what JAX says of a process that was killed
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
        warnings.simplefilter("ignore")
        jax.config.update("jax_disable_most_optimizations", True)
        if PROCESSES > 1:
            kyeo.distribution.initialize(f"127.0.0.1:{port}", PROCESSES, number)
        if kill_at_call:
            count_calls(kill_at_call)
        own = folder / str(number)
        own.mkdir(exist_ok=True)
        train(model_kind, data_kind, own, folder / "backup")
        if PROCESSES > 1:
            jax.distributed.shutdown()  # as at the end of a program: nobody leaves before the others
        os._exit(0)
    except BaseException:
        if PROCESSES == 1:
            traceback.print_exc()
        else:
            (folder / f"error-{number}").write_text(traceback.format_exc())
        os._exit(1)


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def count_calls(last):
    """Kill this process at the `last` call of what a save is made of."""
    calls = itertools.count(1)

    def counted(function):
        def call(*args, **kwargs):
            number = next(calls)
            if number == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
        return call

    class File:
        def __init__(self, file):
            self.file, self.write, self.seek = file, counted(file.write), file.seek

        def __enter__(self):
            self.file.__enter__()
            return self

        def __exit__(self, *exc):
            self.file.flush()
            return self.file.__exit__(*exc)

    plain_open = open
    os.fsync, os.replace, os.unlink = counted(os.fsync), counted(os.replace), counted(os.unlink)
    tensors.open = lambda path, mode, *a, **k: (File(plain_open(path, mode, 0)) if "w" in mode else
                                                plain_open(path, mode, *a, **k))


def end_alone(processes, seconds, victims, grace):
    """Whether processes end within some time; else the victims are killed, and the rest a moment later, as what starts
    them on many machines does. An error where nobody was killed ends everything."""
    deadline, running, killed = time.monotonic() + seconds, list(processes), False
    while running:
        for process in list(running):
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                running.remove(process)
                failed = os.WIFEXITED(status) and os.WEXITSTATUS(status)
                if failed and len(processes) == 1:
                    raise SystemExit("a training ended with an error")
                if os.WIFSIGNALED(status) or failed:
                    killed, victims, deadline = True, running, time.monotonic() + grace
        if running and time.monotonic() > deadline:
            for process in victims if not killed else running:
                os.kill(process, signal.SIGKILL)
            killed, deadline = True, time.monotonic() + grace
        time.sleep(0.002)
    return not killed


def run(model_kind, data_kind, draw, length, kills):
    """One training, killed up to so often. Gives (digests, how often it was killed, in a save)."""
    folder = Path(tempfile.mkdtemp(prefix="kill_matrix_"))
    results = [folder / str(number) / "result" for number in range(PROCESSES)]
    killed = in_save = 0
    while not all(result.exists() for result in results):
        may = killed < kills
        at_call = draw.randint(1, 250) if may and draw.random() < 0.6 else 0
        seconds = draw.uniform(0.2 * length, length) if may and not at_call else 600
        chosen = draw.choice([[n] for n in range(PROCESSES)] + [list(range(PROCESSES))])
        chosen = [0] if at_call else chosen  # it is the first that writes
        port = free_port() if PROCESSES > 1 else 0
        for result in results:  # one may have ended as the other was killed
            result.unlink(missing_ok=True)
        processes = [child(model_kind, data_kind, folder, at_call if n in chosen else 0, n, port)
                     for n in range(PROCESSES)]
        if not end_alone(processes, seconds, [processes[n] for n in chosen], draw.uniform(0, 0.5)):
            killed += 1
            in_save += bool(at_call)
            errors = [file.read_text() for file in folder.glob("error-*")]
            if not may or not all("Gloo" in error or "oordination" in error for error in errors):
                raise SystemExit("a training ended with an error\n" + "\n".join(errors))
            for file in folder.glob("error-*"):
                file.unlink()
    digests = {f"{name} {n}": value for n, result in enumerate(results)
               for name, value in json.loads(result.read_text()).items()}
    shutil.rmtree(folder)
    return digests, killed, in_save


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no run after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="one model with everything")
    parser.add_argument("--more", action="store_true", help="other kinds of training")
    parser.add_argument("--devices", type=int, default=1, help="divide batches among so many devices of the CPU")
    parser.add_argument("--processes", type=int, default=1, help="and among so many processes")
    arguments = parser.parse_args()
    global DEVICES, PROCESSES
    DEVICES, PROCESSES = arguments.devices, arguments.processes
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"  # read by each child
    draw, start = random.Random(arguments.seed), time.monotonic()
    for room in ("layers", "models", "optimizers", "callbacks", "utils", "distribution"):
        importlib.import_module(f"kyeo.{room}")  # before the first fork
    combinations = list(itertools.product(["all"] if arguments.short else MORE if arguments.more else MODELS, DATA))
    killed = in_save = runs = different = 0
    references = {}
    while killed < arguments.kills and time.monotonic() - start < arguments.seconds:
        combination = combinations[runs % len(combinations)]
        runs += 1
        if combination not in references:
            begun = time.monotonic()
            digests, _, _ = run(*combination, draw, 600, 0)
            references[combination] = digests, time.monotonic() - begun
        reference, length = references[combination]
        digests, count, count_in_save = run(*combination, draw, length, 2 if arguments.short else draw.randint(1, 3))
        killed, in_save = killed + count, in_save + count_in_save
        parts = [name for name in reference if digests[name] != reference[name]]
        different += bool(parts)
        if parts or not arguments.short:
            told = "DIFFERENT: " + ", ".join(parts) if parts else "same"
            print(f"{runs:4} {' x '.join(combination):28} killed {count}  {told}", flush=True)
    seconds = time.monotonic() - start
    print(json.dumps({"kills": killed, "in a save": in_save, "runs": runs, "combinations": len(references),
                      "different": different, "seconds": round(seconds)}))
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
