"""Mistakes in what is given to fit, evaluate and predict: shapes, rows, labels, types."""

import numpy as np

import kyeo
from kyeo import layers
from tests.errors.table import mistake

__all__ = ["X", "Y", "classifier", "images", "network", "regression"]

X = np.linspace(0, 1, 12 * 4, dtype="float32").reshape(12, 4)
Y = np.arange(12) % 3
images = np.linspace(0, 1, 4 * 28 * 28, dtype="float32").reshape(4, 28, 28, 1)


def network(*stack, shape=(4,), loss="mse", **compiled):
    """A small compiled stack."""
    model = kyeo.Sequential([kyeo.Input(shape, name="features"), *stack], name="small")
    model.compile("sgd", loss, **compiled)
    return model


def classifier(still, loss="sparse_categorical_crossentropy", y=Y, **compiled):
    """Three classes; `y` are labels that it can be trained on."""
    model = network(layers.Dense(3, "softmax", name="head"), loss=loss, **compiled)
    still.trains(model, X, y)
    return model


def binary(still):
    model = network(layers.Dense(1, "sigmoid", name="head"), loss="binary_crossentropy")
    still.trains(model, X, Y % 2)
    return model


def regression(still):
    model = network(layers.Dense(1, name="head"))
    still.trains(model, X, ones(12))
    return model


def ones(*shape):
    return np.ones(shape, "float32")


ONE_HOT = np.eye(3, dtype="float32")[Y]


# -- shapes of x -------------------------------------------------------------------------------------------
@mistake('"features"', "(None, 4)", "small")
def fit_other_feature_count(still):
    classifier(still).fit(ones(12, 5), Y, verbose=0)  # <-


@mistake('"image"', "(None, 28, 28, 1)", "(4, 32, 32, 1)")
def fit_other_image_size(still):
    x = kyeo.Input((28, 28, 1), name="image")
    model = kyeo.Model(x, layers.Dense(3, "softmax")(layers.Flatten()(x)), name="small")
    model.compile("sgd", "sparse_categorical_crossentropy")
    still.trains(model, images, Y[:4])
    model.fit(ones(4, 32, 32, 1), Y[:4], verbose=0)  # <-


@mistake("x[None]", "small")
def predict_one_sample(still):
    classifier(still).predict(X[0], verbose=0)  # <-


@mistake("x[None]", "small")
def predict_one_image(still):
    model = network(layers.Conv2D(2, 3), shape=(28, 28, 1))
    still.gives((4, 26, 26, 2), model.predict, images, verbose=0)
    model.predict(images[0], verbose=0)  # <-


@mistake("x[..., None]", "small")
def predict_without_channels(still):
    model = network(layers.Conv2D(2, 3), shape=(28, 28, 3))
    still.gives((4, 26, 26, 2), model.predict, ones(4, 28, 28, 3), verbose=0)
    model.predict(images[..., 0], verbose=0)  # <-


@mistake("small", '"features"')
def call_on_other_feature_count(still):
    model = classifier(still)
    model(ones(2, 5))  # <-


@mistake("Conv2D", "x[..., None]")
def predict_unbuilt_on_rank_3(still):
    class Mine(kyeo.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(2, 3)

        def call(self, x):
            return self.conv(x)

    model = Mine()
    still.gives((4, 26, 26, 2), model.predict, images, verbose=0)
    model.predict(images[..., 0], verbose=0)  # <-


def two_inputs(still):
    a, b = kyeo.Input((4,), name="a"), kyeo.Input((4,), name="b")
    model = kyeo.Model([a, b], layers.Dense(1)(layers.Add()([a, b])), name="two")
    model.compile("sgd", "mse")
    still.trains(model, [X, X], ones(12))
    return model


@mistake("two", "a (None, 4), b (None, 4)")
def one_input_of_two(still):
    two_inputs(still).fit(X, ones(12), verbose=0)  # <-


@mistake("two", "'c'", "'b'")
def unknown_input_name(still):
    two_inputs(still).fit({"a": X, "c": X}, ones(12), verbose=0)  # <-


# -- rows --------------------------------------------------------------------------------------------------
@mistake("x: 12", "y: 10")
def more_rows_than_labels(still):
    classifier(still).fit(X, Y[:10], verbose=0)  # <-


@mistake("sample_weight: 5")
def too_few_sample_weights(still):
    classifier(still).fit(X, Y, sample_weight=ones(5), verbose=0)  # <-


@mistake("of shape (None, 5)", "begins like (None,)", 'output "head"')
def sample_weights_of_another_shape(still):
    classifier(still).fit(X, Y, sample_weight=ones(12, 5), verbose=0)  # <-


@mistake("of shape (8,)", "a loss of your own must give one value for each")
def weights_beside_a_loss_that_averages_over_rows(still):
    model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(3)])
    model.compile("sgd", lambda y, p: kyeo.ops.mean(y - p, axis=0))
    model.fit(ones(8, 4), ones(8, 3), sample_weight=ones(8), verbose=0)  # <-


@mistake("float64", "can be NumPy")
def floats_of_64_bits(still):
    kyeo.config.set_floatx("float64")  # <-


@mistake("no rows")
def no_rows(still):
    classifier(still).fit(X[:0], Y[:0], verbose=0)  # <-


@mistake("without labels", "small")
def labels_forgotten(still):
    classifier(still).fit(X, verbose=0)  # <-


# -- labels and losses -------------------------------------------------------------------------------------
@mistake("Flatten()", "head", "(None, 26, 26, 10)")
def flatten_forgotten(still):
    model = network(layers.Conv2D(4, 3), layers.Dense(10, "softmax", name="head"), shape=(28, 28, 1),
                    loss="sparse_categorical_crossentropy")
    still.gives((4, 26, 26, 10), model.predict, images, verbose=0)
    model.fit(images, Y[:4], verbose=0)  # <-


@mistake("sparse_categorical_crossentropy", "head")
def class_numbers_with_categorical_loss(still):
    classifier(still, "categorical_crossentropy", ONE_HOT).fit(X, Y, verbose=0)  # <-


@mistake("one-hot", "categorical_crossentropy", "head")
def one_hot_with_sparse_loss(still):
    classifier(still).fit(X, ONE_HOT, verbose=0)  # <-


@mistake("1..3 for 3 classes", "subtract 1?", "head")
def labels_from_one(still):
    classifier(still).fit(X, Y + 1, verbose=0)  # <-


@mistake("-1..1 for 3 classes", "ignore_class", "head")
def label_minus_one(still):
    classifier(still).fit(X, Y - 1, verbose=0)  # <-


@mistake("1..3 for 3 classes", "subtract 1?", "`validation_data`")
def labels_from_one_in_validation(still):
    classifier(still).fit(X, Y, validation_data=(X, Y + 1), verbose=0)  # <-


@mistake("labels run 1..2", "y - 1", "head")
def binary_labels_one_two(still):
    binary(still).fit(X, Y % 2 + 1, verbose=0)  # <-


@mistake("NaN", "head")
def binary_labels_nan(still):
    binary(still).fit(X, np.where(Y == 1, np.nan, 1), verbose=0)  # <-


@mistake("NaN", "head")
def class_labels_nan(still):
    classifier(still).fit(X, np.where(Y == 1, np.nan, 1), verbose=0)  # <-


@mistake("(None, 1)", "(None, 3)", "head")
def mse_on_other_width(still):
    regression(still).fit(X, ones(12, 3), verbose=0)  # <-


@mistake("1 unit", "head")
def mse_on_too_many_units(still):
    model = network(layers.Dense(3, name="head"))
    still.trains(model, X, ones(12, 3))
    model.fit(X, ones(12, 1), verbose=0)  # <-


@mistake("sparse_categorical_crossentropy", "head", "(None, 3)")
def binary_loss_for_three_classes(still):
    classifier(still, "binary_crossentropy", ONE_HOT).fit(X, Y, verbose=0)  # <-


@mistake("head", "(None, 3)")
def labels_of_another_shape_in_evaluate(still):
    classifier(still).evaluate(X, np.zeros((12, 5)), verbose=0)  # <-


@mistake("[5]")
def class_weight_for_unknown_class(still):
    classifier(still).fit(X, Y, class_weight={0: 1.0, 5: 2.0}, verbose=0)  # <-


# -- kinds of data -----------------------------------------------------------------------------------------
@mistake("`x`", "numbers", kind=TypeError)
def text_in_x(still):
    classifier(still).fit(np.array([["a", "b", "c", "d"]] * 12), Y, verbose=0)  # <-


@mistake("`x`", "kyeo.utils.load_img(name)", "image_dataset_from_directory", kind=TypeError)
def names_of_pictures(still):
    classifier(still).fit(["a.png", "b.JPG"], [0, 1], verbose=0)  # <-


@mistake("'table.csv'", "pandas.read_csv(name)", kind=TypeError)
def name_of_a_file(still):
    classifier(still).fit("table.csv", verbose=0)  # <-


@mistake("`y`", "numbers", kind=TypeError)
def text_in_y(still):
    classifier(still).fit(X, np.array(["cat", "dog", "cow"] * 4), verbose=0)  # <-


@mistake("`x`", 'astype("float32")', kind=TypeError)
def objects_in_x(still):
    classifier(still).fit(X.astype(object), Y, verbose=0)  # <-


@mistake("\"features\"", "x.real", "Input(..., dtype=\"complex64\")", kind=TypeError)
def complex_x(still):
    regression(still).fit(X.astype(complex), ones(12), verbose=0)  # <-


@mistake("call it", kind=TypeError)
def data_set_is_a_class(still):
    regression(still).fit(kyeo.utils.PyDataset, verbose=0)  # <-


@mistake("`x`", kind=TypeError)
def none_in_x(still):
    classifier(still).fit([[1.0, 2.0, 3.0, None]] * 12, Y, verbose=0)  # <-


@mistake("`x`", "pad")
def ragged_lists(still):
    classifier(still).fit([[1.0, 2.0, 3.0, 4.0], [1.0]] * 6, Y, verbose=0)  # <-


@mistake("`x`", "32 bits", "8589934592", kind=OverflowError)
def ids_of_64_bits(still):
    model = network(layers.Embedding(10, 3), layers.Flatten(), layers.Dense(1), shape=(4,))
    still.trains(model, np.ones((12, 4), "int64"), ones(12))
    model.fit(np.full((12, 4), 2**33), ones(12), verbose=0)  # <-


@mistake("`x`", "32 bits", kind=OverflowError)
def ids_of_64_bits_in_predict(still):
    model = network(layers.Embedding(10, 3), layers.Flatten(), layers.Dense(1), shape=(4,))
    still.gives((2, 1), model.predict, np.ones((2, 4), "int64"), verbose=0)
    model.predict(np.full((2, 4), 2**33), verbose=0)  # <-


@mistake("generator", "(x, y)")
def labels_beside_a_generator(still):
    classifier(still).fit(((X, Y) for _ in range(2)), Y, verbose=0)  # <-


@mistake("generator", "x: 4", "y: 3")
def generator_of_uneven_batches(still):
    classifier(still).fit(((X[:4], Y[:3]) for _ in range(2)), verbose=0)  # <-


@mistake("labels run 0..3 for 3 classes", "head")
def generator_of_labels_out_of_range(still):
    classifier(still).fit(((X[:4], np.arange(4)) for _ in range(2)), verbose=0)  # <-


@mistake("x=5", kind=TypeError)
def number_for_data(still):
    classifier(still).fit(5, verbose=0)  # <-


@mistake("whole numbers", "head")
def class_labels_with_fractions(still):
    classifier(still).fit(X, Y + 0.5, verbose=0)  # <-


@mistake("['cc', 'p']", "['p', 'c']")
def labels_for_unknown_output(still):
    x = kyeo.Input((4,))
    model = kyeo.Model(x, [layers.Dense(1, name="p")(x), layers.Dense(1, name="c")(x)])
    model.compile("sgd", "mse")
    still.gives((12, 1), lambda: model.predict(X, verbose=0)[0])
    model.fit(X, {"p": ones(12), "cc": ones(12)}, verbose=0)  # <-


@mistake("`validation_data`", "(None, 4)")
def validation_data_of_other_width(still):
    classifier(still).fit(X, Y, validation_data=(X[:, :3], Y), verbose=0)  # <-


@mistake('output "c"')
def labels_of_one_output_of_two(still):
    x = kyeo.Input((4,))
    model = kyeo.Model(x, [layers.Dense(1, name="p")(x), layers.Dense(1, name="c")(x)])
    model.compile("sgd", "mse")
    still.gives((12, 1), lambda: model.predict(X, verbose=0)[0])
    model.fit(X, [ones(12), None], verbose=0)  # <-


@mistake("x[0]", "small")
def predict_of_x_and_y(still):
    classifier(still).predict((X, Y), verbose=0)  # <-


@mistake("without the labels in it")
def generator_of_dicts_with_labels(still):
    classifier(still).fit(iter([{"features": X, "label": Y}]), verbose=0)  # <-


@mistake("leave such batches out")
def batch_without_rows(still):
    classifier(still).fit(iter([(X[:0], Y[:0])]), verbose=0)  # <-


@mistake("steps_per_epoch=0")
def no_steps_in_an_epoch(still):
    classifier(still).fit(X, Y, steps_per_epoch=0, verbose=0)  # <-


@mistake("validation_steps=0", "`validation_data`")
def no_steps_of_validation(still):
    classifier(still).fit(X, Y, validation_data=(X, Y), validation_steps=0, verbose=0)  # <-


@mistake("yield batches")
def generator_of_samples(still):
    classifier(still).fit(((X[i], Y[i]) for i in range(12)), verbose=0)  # <-


@mistake("math.ceil", kind=TypeError)
def length_of_a_data_set_is_a_float(still):
    class Data(kyeo.utils.PyDataset):
        def __len__(self):
            return 12 / 4

        def __getitem__(self, index):
            return X, Y

    classifier(still).fit(Data(), verbose=0)  # <-


@mistake("`y`", "np.array(list(...))", "the place of both", kind=TypeError)
def generator_of_labels_beside_x(still):
    regression(still).fit(X, (y for y in ones(12)))  # <-


@mistake("There are no labels", "two arguments, not as one tuple")
def x_and_y_in_a_tuple(still):
    regression(still).fit((X, ones(12)))  # <-


@mistake("`epochs`", "validation_data=(x, y)", kind=TypeError)
def validation_data_by_place(still):
    regression(still).fit(X, ones(12), X, ones(12))  # <-


@mistake("`batch_size`", "it takes x alone", kind=TypeError)
def predict_of_x_and_y_by_place(still):
    regression(still).predict(X, ones(12))  # <-


@mistake("np.array(...)")
def list_of_rows(still):
    regression(still).fit([ones(4)] * 6, ones(6))  # <-


@mistake("'missing.png'", "this program runs in", kind=FileNotFoundError)
def picture_that_does_not_exist(still):
    kyeo.utils.load_img("missing.png")  # <-
