"""Mistakes in how training is asked for: compile, the arguments of fit, callbacks, files."""

import numpy as np

import kyeo
from kyeo import layers
from tests.errors.mistakes_data import X, Y, classifier, network, ones, regression
from tests.errors.table import mistake

__all__: list[str] = []


# -- compile -----------------------------------------------------------------------------------------------
def uncompiled(still):
    model = kyeo.Sequential([kyeo.Input((4,)), layers.Dense(1)], name="small")
    still.gives((12, 1), model.predict, X, verbose=0)
    return model


@mistake("`fit`", "compile(", "small")
def fit_before_compile(still):
    uncompiled(still).fit(X, ones(12))  # <-


@mistake("`evaluate`", "compile(")
def evaluate_before_compile(still):
    uncompiled(still).evaluate(X, ones(12))  # <-


@mistake("'categorical_crosentropy'", "did you mean 'categorical_crossentropy'")
def unknown_loss(still):
    classifier(still).compile("sgd", "categorical_crosentropy")  # <-


@mistake("'adma'", "did you mean", "'adam'")
def unknown_optimizer(still):
    classifier(still).compile("adma", "mse")  # <-


@mistake("'acuracy'", "did you mean", "'accuracy'")
def unknown_metric(still):
    classifier(still).compile("sgd", "mse", metrics=["acuracy"])  # <-


@mistake("`loss_weights`", "metrics=[...]", kind=TypeError)
def metrics_in_the_place_of_loss_weights(still):
    classifier(still).compile("sgd", "mse", ["accuracy"])  # <-


@mistake("`metrics`", "metrics=['accuracy']", kind=TypeError)
def metrics_not_in_a_list(still):
    classifier(still).compile("sgd", "mse", metrics="accuracy")  # <-


@mistake("SGD", "learning_rate=-0.1")
def negative_learning_rate(still):
    kyeo.optimizers.SGD(-0.1)  # <-


@mistake("loss", "'tail'", "head")
def loss_for_unknown_output(still):
    x = kyeo.Input((4,))
    model = kyeo.Model(x, {"head": layers.Dense(1)(x), "neck": layers.Dense(1)(x)}, name="two")
    model.compile("sgd", {"head": "mse", "neck": "mse"})
    still.gives((12, 1), lambda: model.predict(X, verbose=0)["head"])
    model.compile("sgd", {"head": "mse", "tail": "mse"})  # <-


@mistake("loss", "'tail'", "head")
def loss_for_unknown_output_of_one(still):
    model = regression(still)
    model.compile("sgd", {"tail": "mse"})  # <-


@mistake("loss", "3 entries", "head")
def three_losses_for_two_outputs(still):
    x = kyeo.Input((4,))
    model = kyeo.Model(x, [layers.Dense(1, name="head")(x), layers.Dense(1, name="neck")(x)], name="two")
    model.compile("sgd", ["mse", "mse", "mse"])  # <-


@mistake("built-in loss", "'mse' for 'pair'")
def one_loss_for_several_outputs(still):
    x = kyeo.Input((4,))
    pair = [layers.Dense(1, name="head")(x), layers.Dense(1, name="neck")(x)]
    model = kyeo.Model(x, {"pair": pair, "tail": layers.Dense(1)(x)}, name="three")
    still.gives((12, 1), lambda: model.predict(X, verbose=0)["tail"])
    model.compile("sgd", {"pair": ["mse", "mse"], "tail": "mse"})
    model.compile("sgd", {"pair": "mse", "tail": "mse"})  # <-


@mistake("loss")
def loss_forgotten(still):
    model = network(layers.Dense(1, name="head"), loss=None)
    still.gives((12, 1), model.predict, X, verbose=0)
    model.fit(X, ones(12), verbose=0)  # <-


@mistake("an optimizer", "MeanSquaredError")
def optimizer_is_a_loss(still):
    regression(still).compile(kyeo.losses.MeanSquaredError(), "sgd")  # <-


@mistake("loss wrong_loss", "head")
def own_loss_that_fails(still):
    def wrong_loss(y_true, y_pred):
        return kyeo.ops.mean(kyeo.ops.matmul(y_true, y_pred))

    model = network(layers.Dense(3, name="head"), loss=wrong_loss)
    still.gives((12, 3), model.predict, X, verbose=0)
    model.fit(X, ones(12, 3), verbose=0)  # <-


@mistake("kyeo.losses", "compile(optimizer, loss")
def loss_before_optimizer(still):
    regression(still).compile("mse", "adam")  # <-


@mistake("SGD(0.1)")
def optimizer_is_a_number(still):
    regression(still).compile(0.1, "mse")  # <-


@mistake("Adam()")
def optimizer_is_a_class(still):
    regression(still).compile(kyeo.optimizers.Adam, "mse")  # <-


@mistake("the function itself")
def loss_is_a_tensor(still):
    regression(still).compile("sgd", kyeo.losses.mean_squared_error(ones(12, 1), ones(12, 1)))  # <-


# -- arguments of fit --------------------------------------------------------------------------------------
@mistake("batch_size=0", "fit")
def batch_size_zero(still):
    regression(still).fit(X, ones(12), batch_size=0, verbose=0)  # <-


@mistake("epochs=-1", "fit")
def epochs_minus_one(still):
    regression(still).fit(X, ones(12), epochs=-1, verbose=0)  # <-


@mistake("epochs='3'", kind=TypeError)
def epochs_text(still):
    regression(still).fit(X, ones(12), epochs="3", verbose=0)  # <-


@mistake("validation_split=1.5")
def validation_split_above_one(still):
    regression(still).fit(X, ones(12), validation_split=1.5, verbose=0)  # <-


@mistake("`validation_data`", "(x, y)")
def validation_data_of_one_array(still):
    regression(still).fit(X, ones(12), validation_data=X, verbose=0)  # <-


@mistake("validation_freq=0")
def validation_freq_zero(still):
    regression(still).fit(X, ones(12), validation_data=(X, ones(12)), validation_freq=0, verbose=0)  # <-


@mistake("verbose='loud'")
def verbose_loud(still):
    regression(still).fit(X, ones(12), verbose="loud")  # <-


@mistake("EarlyStopping", "EarlyStopping(...)", kind=TypeError)
def callback_class(still):
    regression(still).fit(X, ones(12), callbacks=[kyeo.callbacks.EarlyStopping], verbose=0)  # <-


@mistake("LambdaCallback", kind=TypeError)
def callback_is_a_function(still):
    regression(still).fit(X, ones(12), callbacks=[lambda epoch, logs: None], verbose=0)  # <-


@mistake("CSVLogger", "os.makedirs('no/such'", kind=FileNotFoundError)
def log_in_no_folder(still):
    regression(still).fit(X, ones(12), callbacks=[kyeo.callbacks.CSVLogger("no/such/log.csv")], verbose=0)  # <-


@mistake("history['acc']", "'loss'", kind=KeyError)
def result_that_is_not_in_the_history(still):
    history = network(layers.Dense(1)).fit(X, ones(12), verbose=0)
    still.holds(lambda: history.history["loss"])
    history.history["acc"]  # <-


@mistake("get_weights()", kind=TypeError)
def weights_are_a_model(still):
    model = regression(still)
    model.set_weights(network(layers.Dense(1)))  # <-


@mistake("index=0", "head")
def layer_by_number(still):
    regression(still).get_layer(0)  # <-


@mistake("`val_acuracy`", "EarlyStopping", "'val_loss'")
def unknown_monitor(still):
    model = network(layers.Dense(1, name="head"))
    still.gives((12, 1), model.predict, X, verbose=0)
    stop = kyeo.callbacks.EarlyStopping("val_acuracy")
    model.fit(X, ones(12), validation_data=(X, ones(12)), callbacks=[stop], verbose=0)  # <-


@mistake('Branching "branching"', "kyeo.ops.where", kind=TypeError)
def branch_in_own_model(still):
    class Branching(kyeo.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x):
            y = self.dense(x)
            return y if y[0, 0] > 0 else -y

    model = Branching()
    model.compile("sgd", "mse")
    still.gives((12, 1), model, X)
    model.fit(X, ones(12), verbose=0)  # <-


# -- files -------------------------------------------------------------------------------------------------
@mistake("Dense", "(4, 3)")
def weights_of_another_model(still):
    model = classifier(still)
    kyeo.Sequential([kyeo.Input((4,)), layers.Dense(2)]).save_weights("other.weights.h5")
    model.load_weights("other.weights.h5")  # <-


@mistake(".weights.h5")
def weights_without_ending(still):
    classifier(still).save_weights("model")  # <-


@mistake("nowhere.weights.h5", kind=OSError)
def weights_that_do_not_exist(still):
    classifier(still).load_weights("nowhere.weights.h5")  # <-


@mistake("to_categorical", "labels run 0..2 for 2 classes")
def to_categorical_with_too_few_classes(still):
    kyeo.utils.to_categorical(Y, num_classes=2)  # <-


@mistake("(2,)", "(2, 3)")
def metric_on_other_shapes(still):
    metric = kyeo.metrics.MeanSquaredError()
    still.gives((), metric, ones(2, 3), ones(2, 3))
    metric.update_state(np.ones(2), ones(2, 3))  # <-


# -- functions of one's own, and words of other engines -----------------------------------------------------
@mistake("it is called `epochs` now", kind=TypeError)
def epochs_as_in_keras_1(still):
    regression(still).fit(X, ones(12), nb_epoch=2)  # <-


@mistake("loss wrong_loss", "return")
def own_loss_without_return(still):
    def wrong_loss(y_true, y_pred):
        kyeo.ops.mean(y_pred)

    model = network(layers.Dense(1, name="head"), loss=wrong_loss)
    still.gives((12, 1), model.predict, X, verbose=0)
    model.fit(X, ones(12), verbose=0)  # <-


@mistake("def on_epoch_end(self, epoch, logs=None)", kind=TypeError)
def own_callback_of_wrong_arguments(still):
    class Mine(kyeo.callbacks.Callback):
        def on_epoch_end(self, logs=None):
            pass

    regression(still).fit(X, ones(12), callbacks=[Mine()], verbose=0)  # <-


@mistake("def train_step(self, state, data)", 'Mine "mine"', kind=TypeError)
def train_step_of_tensorflow(still):
    class Mine(kyeo.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            return {}

    model = Mine()
    model.compile("sgd", "mse")
    still.gives((12, 1), model, X)
    model.fit(X, ones(12), verbose=0)  # <-


@mistake("trainable, non_trainable, optimizer, metrics", 'Mine "mine"', "return logs, (")
def train_step_that_forgets_a_part(still):
    class Mine(kyeo.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def train_step(self, state, data):
            logs, (trainable, frozen, optimizer, _) = super().train_step(state, data)
            return logs, (trainable, frozen, optimizer)

    model = Mine()
    model.compile("sgd", "mse")
    still.gives((12, 1), model, X)
    model.fit(X, ones(12), verbose=0)  # <-


@mistake("optimizer_variables=None", "optimizer_variables=state[2]", kind=TypeError)
def loss_of_a_step_without_the_optimizer(still):
    model = regression(still)
    values = ([v.value for v in some] for some in
              (model.trainable_variables, model.non_trainable_variables, model.metrics_variables))
    model.compute_loss_and_updates(*values, X, ones(12), None, training=True)  # <-


@mistake("`self.last`", 'Keeps "keeps"', "add_weight", kind=TypeError)
def a_tensor_kept_in_an_attribute(still):
    class Keeps(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense, self.seen = layers.Dense(1), []

        def call(self, x):
            self.last = 2 * x
            self.seen.append(x)
            return self.dense(x)

    layer = Keeps()
    model = kyeo.Sequential([layer])
    model.compile("sgd", "mse")
    model.fit(X, ones(12), verbose=0)
    still.gives((12, 1), model, X)
    still.holds(lambda: layer.seen[-1][0, 0] == X[0, 0] and "was left when its step was over" in repr(layer.seen[0]))
    layer.last + 1  # <-


@mistake("y_pred of shape (None, 2)", "metric auc", kind=TypeError)
def metric_for_more_labels(still):
    network(layers.Dense(2, name="head"), metrics=[kyeo.metrics.AUC(multi_label=True, num_labels=3)]).fit(  # <-
        X, ones(12, 2), verbose=0)


@mistake("shape (None, 1)", "(7, 1)", "loss for_seven", kind=TypeError)
def own_loss_for_one_batch_size(still):
    def for_seven(y_true, y_pred):
        return (y_true - y_pred) * ones(7, 1)

    network(layers.Dense(1, name="head"), loss=for_seven).fit(X, ones(12), verbose=0)  # <-


@mistake("'Adam(0.01)'", "without quotation marks")
def optimizer_called_in_quotation_marks(still):
    classifier(still).compile("Adam(0.01)", "mse")  # <-


@mistake("'rmse'", '"root_mean_squared_error"')
def metric_by_its_initials(still):
    classifier(still).compile("sgd", "mse", metrics=["rmse"])  # <-


@mistake("'val_accuracy'", "leave it out")
def metric_of_validation(still):
    classifier(still).compile("sgd", "mse", metrics=["val_accuracy"])  # <-


@mistake("`lr`", "Adam(learning_rate=...)", kind=TypeError)
def learning_rate_in_compile(still):
    classifier(still).compile("sgd", "mse", lr=0.1)  # <-


@mistake("`save`", "filepath", kind=TypeError)
def saved_nowhere(still):
    classifier(still).save()  # <-


@mistake('"model.keras"')
def saved_without_ending(still):
    classifier(still).save("model")  # <-


@mistake("history.history['loss']", kind=TypeError)
def history_taken_for_a_dict(still):
    kyeo.callbacks.History()["loss"]  # <-


class CountsByItself(kyeo.metrics.Metric):
    def __init__(self):
        super().__init__()
        self.seen = 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen += kyeo.ops.sum(y_pred)

    def result(self):
        return self.seen


@mistake("self.seen", "add_weight", "counts_by_itself", kind=TypeError)
def metric_that_counts_in_an_attribute(still):
    network(layers.Dense(1), metrics=[CountsByItself()]).fit(X, ones(12), verbose=0)  # <-
