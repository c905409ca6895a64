"""Programs in the spirit of the generative examples: a VAE, a GAN with two optimizers, distillation, two towers."""

import jax
import numpy as np

import kyeo as keras
from kyeo import layers, ops


class Sampling(layers.Layer):
    def __init__(self, seed=7, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        mean, log_var = inputs
        epsilon = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * epsilon


class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder, self.sampling = encoder, decoder, Sampling()

    def call(self, x):
        mean, log_var = self.encoder(x)
        kl = -0.5 * ops.mean(ops.sum(1 + log_var - ops.square(mean) - ops.exp(log_var), axis=1))
        self.add_loss(0.01 * kl)
        return self.decoder(self.sampling((mean, log_var)))


def test_vae():
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x = np.tanh(rng.normal(size=(192, 2)) @ rng.normal(size=(2, 10))).astype("float32")
    inputs = keras.Input((10,))
    hidden = layers.Dense(16, activation="relu")(inputs)
    encoder = keras.Model(inputs, [layers.Dense(2, name="mean")(hidden), layers.Dense(2, name="log_var")(hidden)])
    decoder = keras.Sequential([keras.Input((2,)), layers.Dense(16, activation="relu"), layers.Dense(10)])
    vae = VAE(encoder, decoder)
    vae.compile(keras.optimizers.Adam(0.01), loss="mse")
    history = vae.fit(x, x, epochs=20, batch_size=32, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert decoder.predict(rng.normal(size=(3, 2)), verbose=0).shape == (3, 10)
    first, second = vae.predict(x, verbose=0), vae.predict(x, verbose=0)
    assert not np.array_equal(first, second)  # the seed moves on


class GAN(keras.Model):
    """Two networks, two optimizers, one step on values that JAX compiles."""

    def __init__(self, discriminator, generator, latent_dim):
        super().__init__()
        self.discriminator, self.generator, self.latent_dim = discriminator, generator, latent_dim

    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile()
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn
        self.d_optimizer.build(self.discriminator.trainable_variables)
        self.g_optimizer.build(self.generator.trainable_variables)

    def variables_of_step(self):
        return (self.discriminator.trainable_variables, self.generator.trainable_variables,
                self.d_optimizer.variables, self.g_optimizer.variables)

    def train_step(self, state, real):
        (d, g, d_opt, g_opt), key = state
        key, here = jax.random.split(key)
        noise = jax.random.normal(here, (real.shape[0], self.latent_dim))
        ones, zeros = ops.ones((real.shape[0], 1)), ops.zeros((real.shape[0], 1))

        def d_loss(d):
            fake, _ = self.generator.stateless_call(g, [], noise)
            both, _ = self.discriminator.stateless_call(d, [], ops.concatenate([real, fake]))
            return self.loss_fn(ops.concatenate([ones, zeros]), both)

        def g_loss(g, d):
            fake, _ = self.generator.stateless_call(g, [], noise)
            return self.loss_fn(ones, self.discriminator.stateless_call(d, [], fake)[0])

        d_value, grads = jax.value_and_grad(d_loss)(d)
        d, d_opt = self.d_optimizer.stateless_apply(d_opt, grads, d)
        g_value, grads = jax.value_and_grad(g_loss)(g, d)
        g, g_opt = self.g_optimizer.stateless_apply(g_opt, grads, g)
        return {"d_loss": d_value, "g_loss": g_value}, ((d, g, d_opt, g_opt), key)


def test_gan():
    keras.utils.set_random_seed(2)
    discriminator = keras.Sequential([keras.Input((2,)), layers.Dense(16, activation="leaky_relu"), layers.Dense(1)])
    generator = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    gan = GAN(discriminator, generator, 2)
    gan.compile(
        keras.optimizers.Adam(0.02), keras.optimizers.Adam(0.02), keras.losses.BinaryCrossentropy(from_logits=True)
    )
    rng = np.random.default_rng(0)
    state = tuple([v.value for v in group] for group in gan.variables_of_step()), jax.random.key(3)
    step = jax.jit(gan.train_step)
    for _ in range(100):
        logs, state = step(state, (rng.normal(size=(32, 2)) + [3.0, -2.0]).astype("float32"))
    for group, values in zip(gan.variables_of_step(), state[0]):
        for variable, value in zip(group, values):
            variable.assign(value)
    fakes = generator.predict(rng.normal(size=(200, 2)), verbose=0)
    assert np.abs(fakes.mean(0) - [3, -2]).max() < 2.0 and set(logs) == {"d_loss", "g_loss"}
    assert int(gan.d_optimizer.iterations) == int(gan.g_optimizer.iterations) == 100


class Real(keras.Model):
    """A step that is given inputs alone gets them as they are."""

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_variables, metrics_variables = state

        def loss_of(trainable):
            y, new = self.stateless_call(trainable, non_trainable, data)
            return ops.mean(ops.square(y - data)), new

        (loss, non_trainable), grads = jax.value_and_grad(loss_of, has_aux=True)(trainable)
        trainable, optimizer_variables = self.optimizer.stateless_apply(optimizer_variables, grads, trainable)
        return {"mse": loss}, (trainable, non_trainable, optimizer_variables, metrics_variables)


def test_step_with_inputs_alone():
    keras.utils.set_random_seed(3)
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    inputs = keras.Input((4,))
    model = Real(inputs, layers.Dense(4)(layers.Dense(3)(inputs)))
    model.compile(keras.optimizers.Adam(0.02))
    history = model.fit(x, epochs=15, verbose=0).history["mse"]
    assert history[-1] < 0.7 * history[0]


def test_knowledge_distillation():
    keras.utils.set_random_seed(4)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 160)
    x = (rng.normal(size=(3, 6))[y] * 2 + rng.normal(size=(160, 6))).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def network(units):
        return keras.Sequential([keras.Input((6,)), layers.Dense(units, activation="relu"), layers.Dense(3)])

    teacher, student = network(24), network(4)
    teacher.compile(keras.optimizers.Adam(0.02), loss, metrics=["accuracy"])
    teacher.fit(x, y, epochs=10, verbose=0)
    distiller = keras.distillation.Distiller(
        teacher, student, keras.distillation.LogitsDistillation(temperature=3.0), student_loss_weight=0.3
    )
    distiller.compile(keras.optimizers.Adam(0.03), loss, metrics=["accuracy"])
    frozen = teacher.get_weights()
    history = distiller.fit(x, y, epochs=15, verbose=0).history
    assert history["total_loss"][-1] < history["total_loss"][0] and history["accuracy"][-1] > 0.7
    assert all(np.array_equal(a, b) for a, b in zip(frozen, teacher.get_weights()))


class TwoTowers(keras.Model):
    """Pairs that belong together should be each other's nearest in the batch."""

    def __init__(self, queries, items):
        super().__init__()
        self.queries, self.items = queries, items
        self.tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):  # without the mean that `compile` made
        return [self.tracker]

    def call(self, inputs):
        q, i = (ops.normalize(tower(x), axis=-1) for tower, x in zip((self.queries, self.items), inputs))
        return ops.matmul(q, ops.transpose(i)) / 0.1

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        same = ops.arange(ops.shape(y_pred)[0])
        loss = ops.mean(keras.losses.sparse_categorical_crossentropy(same, y_pred, from_logits=True))
        self.tracker.update_state(loss)
        return loss


def test_contrastive_two_towers():
    keras.utils.set_random_seed(5)
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(128, 3))
    q, i = ((hidden @ rng.normal(size=(3, 6))).astype("float32") for _ in range(2))
    model = TwoTowers(*(keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(4)]) for _ in range(2)))
    model.compile(keras.optimizers.Adam(0.02))
    history = model.fit((q, i), epochs=15, batch_size=32, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    assert (np.asarray(model((q[:32], i[:32]))).argmax(1) == np.arange(32)).mean() > 0.6
