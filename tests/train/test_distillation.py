"""Distillation against Keras: losses, a training, files, refusals."""

import keras
import numpy as np
import pytest

import kyeo

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 4)).astype("float32"), RNG.integers(0, 3, 6).astype("int32")
T, S = (RNG.normal(size=(5, 3)).astype("float32") for _ in range(2))


@pytest.mark.parametrize("name, words, pair", [
    ("LogitsDistillation", {"loss": "KLDivergence"}, (T, S)), ("LogitsDistillation", {"temperature": 1.5, "loss": "mse"}, (T, S)),
    ("LogitsDistillation", {"loss": [None, "mae"]}, ([T, T], [S, 2 * S])),
    ("FeatureDistillation", {}, (T, S)), ("FeatureDistillation", {"loss": "cosine_similarity"}, (T, S)),
    ("FeatureDistillation", {"loss": {"a": "mse", "b": "mae"}}, ({"a": T, "b": T}, {"a": S, "b": 3 * S})),
], ids=str)
def test_losses_as_in_keras(name, words, pair):
    ours, theirs = (getattr(room.distillation, name)(**{
        k: room.losses.KLDivergence() if v == "KLDivergence" else v for k, v in words.items()}) for room in (kyeo, keras))
    np.testing.assert_allclose(ours.compute_loss(*pair), theirs.compute_loss(*pair), rtol=1e-5)
    config = ours.get_config()
    assert type(ours).from_config(config).get_config() == config and set(config) == set(theirs.get_config())
    ours.validate_outputs(*pair)
    by_name, by_class = (kyeo.distillation.LogitsDistillation(loss=loss) for loss in (
        "kl_divergence", kyeo.losses.KLDivergence()))
    np.testing.assert_allclose(by_name.compute_loss(T, S), by_class.compute_loss(T, S), rtol=1e-5)


def distiller(room):
    def model(units, name):
        x = room.Input((4,))
        return room.Model(x, room.layers.Dense(3, name="head")(room.layers.Dense(units, "tanh", name="body")(x)), name=name)

    teacher, student = model(5, "teacher"), model(5, "student")
    rng = np.random.default_rng(1)
    for one in (teacher, student):
        one.set_weights([rng.normal(size=w.shape).astype("float32") for w in one.weights])
    made = room.distillation.Distiller(
        teacher, student, [room.distillation.LogitsDistillation(2.0, room.losses.KLDivergence()), room.distillation.FeatureDistillation(
            "mse", "body", "body")], [1.0, 0.3], student_loss_weight=0.4)
    made.compile(room.optimizers.SGD(0.1), room.losses.SparseCategoricalCrossentropy(from_logits=True),
                 metrics=["accuracy"])
    return made


def test_training_as_in_keras(tmp_path):
    made = [distiller(room) for room in (kyeo, keras)]
    histories = [one.fit(X, Y, batch_size=2, epochs=2, shuffle=False, verbose=0).history for one in made]
    for name in ("student_loss", "distillation_loss", "total_loss", "accuracy"):
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-5)
    for mine, wanted in zip(made[0].student.get_weights(), made[1].student.get_weights()):
        np.testing.assert_allclose(mine, wanted, rtol=1e-4, atol=1e-6)
    ours = made[0]
    assert len(ours.trainable_variables) == 4 and not ours.teacher.trainable
    np.testing.assert_allclose(ours.predict(X, verbose=0), ours.student.predict(X, verbose=0), rtol=1e-5, atol=1e-6)
    ours.save(tmp_path / "d.keras")
    again = kyeo.models.load_model(tmp_path / "d.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), ours.predict(X, verbose=0))
    scores = [one.evaluate(X, Y, verbose=0, return_dict=True) for one in (again, ours)]
    assert scores[0] == scores[1]


def test_stacks_that_are_not_built():
    made = kyeo.distillation.Distiller(
        *(kyeo.Sequential([kyeo.layers.Dense(3)]) for _ in range(2)), kyeo.distillation.LogitsDistillation(loss="mse"))
    made.compile("sgd", "mse")
    made.fit(X, T[[0] * 6], verbose=0)
    assert len(made.trainable_variables) == 2 and not made.teacher.trainable_variables


def test_refusals():
    room = kyeo.distillation
    ours = distiller(kyeo)
    teacher, student = ours.teacher, ours.student
    other = kyeo.Sequential([kyeo.Input((7,)), kyeo.layers.Dense(3)])
    for bad in (lambda: room.Distiller(3, student, room.LogitsDistillation()), lambda: room.Distiller(teacher, student, 3),
                lambda: room.Distiller(teacher, other, room.LogitsDistillation()),
                lambda: room.Distiller(teacher, student, [room.LogitsDistillation()], [1.0, 2.0]),
                lambda: room.Distiller(teacher, student, room.LogitsDistillation(), student_loss_weight=2),
                lambda: room.Distiller(teacher, student, room.FeatureDistillation("mse", "nobody", "body")),
                lambda: room.LogitsDistillation(0), lambda: room.LogitsDistillation(loss=[None]),
                lambda: ours.compile("sgd"), lambda: room.FeatureDistillation(["mse"]).compute_loss(T, S)):
        with pytest.raises((ValueError, TypeError), match="Received:"):
            bad()
    with pytest.raises(NotImplementedError):
        room.DistillationLoss().compute_loss(T, S)
