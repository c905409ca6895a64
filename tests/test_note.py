"""The student's note, block by block: what it says must run, learn, and report the truth."""

import pathlib

import numpy as np
import pytest

import kyeo

PROGRAM = pathlib.Path(__file__).parent / "data" / "note_program.py"
BLOCKS = dict(block.split("\n", 1) for block in PROGRAM.read_text(encoding="utf-8").split("# %% ")[1:])
EPOCHS = 5
pytestmark = pytest.mark.usefixtures("full_compilation")  # a long training, so it is compiled as for users
ANNOUNCED = "using SparseCategoricalAccuracy"  # kyeo says once which accuracy it takes


@pytest.fixture(scope="module")
def note(digits, full_compilation):
    """The names after the whole note has run, with 5 epochs for the note's 50."""
    kyeo.utils.set_random_seed(0)
    names = dict(zip(("x_train", "y_train"), digits[0]))
    assert "epochs=50" in BLOCKS["train"]
    with pytest.warns(UserWarning, match=ANNOUNCED):
        for name, block in BLOCKS.items():
            code = block.replace("epochs=50", f"epochs={EPOCHS}, verbose=0")
            exec(compile(code, f"{PROGRAM.name}: {name}", "exec"), names)
    return names


def test_learns(note, digits):
    (x_train, y_train), (x_test, y_test) = digits
    model = note["model"]
    reported = model.history.history
    assert len(reported["loss"]) == len(reported["accuracy"]) == EPOCHS
    assert reported["loss"][-1] < reported["loss"][0] / 2
    assert accuracy_by_hand(model, x_test, y_test) >= 0.95
    # While training, dropout is on and the weights still move, so this can only be near.
    assert reported["accuracy"][-1] == pytest.approx(accuracy_by_hand(model, x_train, y_train), abs=0.05)


def test_reports_the_true_accuracy(note, digits):
    model = note["model"]
    for x, y in digits:
        reported = model.evaluate(x, y, verbose=0, return_dict=True)
        assert reported["accuracy"] == pytest.approx(accuracy_by_hand(model, x, y), abs=1e-6)


@pytest.mark.filterwarnings(f"ignore:.*{ANNOUNCED}")
def test_training_accuracy_is_exact_where_nothing_moves(digits):
    x, y = digits[1][0][:330], digits[1][1][:330]  # the last batch is not full
    kyeo.utils.set_random_seed(1)
    model = kyeo.Sequential(
        [kyeo.Input((28, 28, 1)), kyeo.layers.Flatten(), kyeo.layers.Dense(10, activation="softmax")]
    )
    model.compile(
        optimizer=kyeo.optimizers.SGD(learning_rate=0.0),
        loss="sparse_categorical_crossentropy",
        metrics=[kyeo.metrics.Accuracy()],
    )
    reported = model.fit(x, y, epochs=1, verbose=0).history["accuracy"][0]
    assert reported == pytest.approx(accuracy_by_hand(model, x, y), abs=1e-6)


@pytest.mark.filterwarnings("ignore:.*got class numbers")
def test_precision_and_recall_with_integer_labels(note, digits):
    x, y = digits[1]
    model = kyeo.Model(note["inputs"], note["model"].outputs)
    model.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        metrics=[kyeo.metrics.Precision(name="precision"), kyeo.metrics.Recall(name="recall")],
    )
    reported = model.evaluate(x, y, verbose=0, return_dict=True)
    said = np.asarray(model.predict(x, verbose=0)) > 0.5
    true = np.eye(10, dtype=bool)[y]
    assert reported["precision"] == pytest.approx((said & true).sum() / said.sum(), abs=1e-6)
    assert reported["recall"] == pytest.approx((said & true).sum() / true.sum(), abs=1e-6)


def test_same_classes_under_both_names(note):
    assert note["layers"].Dense is kyeo.layers.Dense
    assert note["tf"].keras.Model is kyeo.Model


def accuracy_by_hand(model, x, y):
    return np.mean(np.asarray(model.predict(x, verbose=0)).argmax(axis=-1) == y)
