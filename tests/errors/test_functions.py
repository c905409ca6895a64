"""Wrong arguments to the functions beside the ops: tools, files, pictures, networks, data sets, settings, estimators.

One right call for each function; then one argument after the other is wrong, and refused by the template before
anything is made, read or downloaded.
"""

import ast
import inspect
import wave

import numpy as np
import pytest

import kyeo
from tests.errors.arguments import bad_values, complaints
from tests.thin import thinned

wrappers = pytest.importorskip("kyeo.wrappers")

BOXES, PIXELS = np.float32([[1, 1, 3, 4]]), np.full((1, 8, 8, 3), 100, "uint8")
INPUT = kyeo.Input((3,))
MODEL = kyeo.Model(INPUT, kyeo.layers.Dense(2)(INPUT))
VALUES = {
    "X": np.float32([[3, 4], [0, 1], [1, 1]]), "BOXES": BOXES, "PIXELS": PIXELS, "IMAGE": PIXELS[0], "INPUT": INPUT, "MODEL": MODEL,
    "DENSE": kyeo.layers.Dense(2), "CONFIG": kyeo.saving.serialize_keras_object(kyeo.layers.Dense(2)), "MASKS": np.zeros((1, 8, 8, 1), "int32"),
    "LABELED": {"boxes": BOXES[None], "labels": np.int32([[0]])}, "JSON": MODEL.to_json(), "SCORES": np.ones((1, 1000), "float32"),
}
ROWS = """
utils.array_to_img(IMAGE) | utils.audio_dataset_from_directory("sounds", verbose=False) | utils.clear_session()
utils.image_dataset_from_directory("images", verbose=False) | utils.text_dataset_from_directory("texts", verbose=False)
utils.custom_object_scope({}) | utils.deserialize_keras_object(CONFIG) | utils.get_file("a", "http://localhost/a")
utils.get_registered_name(abs) | utils.get_registered_object("a") | utils.get_source_inputs(INPUT) | utils.img_to_array(IMAGE)
utils.load_img("images/a/0.png") | utils.model_to_dot(MODEL) | utils.plot_model(MODEL, "model.dot") | utils.normalize(X)
utils.pad_sequences([[1], [1, 2]]) | utils.register_keras_serializable() | utils.save_img("o.png", IMAGE)
utils.serialize_keras_object(DENSE) | utils.set_random_seed(1) | utils.split_dataset(X, 0.5)
utils.timeseries_dataset_from_array(X, None, 2) | utils.to_categorical([0, 1])
utils.legacy.serialize_keras_object(DENSE) | utils.legacy.deserialize_keras_object("relu", {"relu": abs})
utils.bounding_boxes.affine_transform(BOXES, 1, 1, 1, 1, 1, 1, 8, 8) | utils.bounding_boxes.clip_to_image_size(LABELED, 8, 8)
utils.bounding_boxes.compute_ciou(BOXES, BOXES, "xyxy") | utils.bounding_boxes.compute_iou(BOXES, BOXES, "xyxy")
utils.bounding_boxes.convert_format(BOXES, "xyxy", "xywh") | utils.bounding_boxes.crop(BOXES, 1, 1, 4, 4)
utils.bounding_boxes.decode_deltas_to_boxes(BOXES, BOXES, "xyxy", "xyxy") | utils.bounding_boxes.pad(BOXES, 1, 1)
utils.bounding_boxes.encode_box_to_deltas(BOXES, BOXES, "xyxy", "xyxy") | preprocessing.image.smart_resize(IMAGE, (4, 4))
visualization.draw_bounding_boxes(PIXELS, LABELED, "xyxy") | visualization.draw_segmentation_masks(PIXELS, MASKS)
visualization.plot_bounding_box_gallery(PIXELS, "xyxy", LABELED) | visualization.plot_image_gallery(PIXELS, path="p.png")
visualization.plot_segmentation_mask_gallery(PIXELS, 2, y_true=MASKS)
saving.load_model("m.keras") | saving.load_weights(MODEL, "m.weights.h5") | saving.model_from_config(CONFIG) | saving.model_from_json(JSON)
saving.model_to_json(MODEL) | saving.save_model(MODEL, "n.keras") | saving.save_weights(MODEL, "n.weights.h5") | saving.reading_limits(total=9)
tree.assert_same_paths([1], [2]) | tree.assert_same_structure([1], [2]) | tree.flatten([1]) | tree.flatten_with_path([1]) | tree.is_nested([1])
tree.lists_to_tuples([1]) | tree.map_shape_structure(len, [(1,)]) | tree.map_structure(abs, [1]) | tree.map_structure_up_to([1], abs, [1])
tree.pack_sequence_as([1], [2]) | tree.traverse(abs, [1])
config.run_functions_eagerly(False) | config.set_backend("jax") | config.set_compile_cache(True) | config.set_dtype_policy("float32")
config.set_epsilon(1e-7) | config.set_floatx("float32") | config.set_image_data_format("channels_last") | config.set_max_epochs(None)
config.set_max_steps_per_epoch(None) | models.clone_model(MODEL) | Input((3,)) | applications.imagenet_utils.preprocess_input(PIXELS)
"""
FAMILIES = [name for name in dir(kyeo.applications) if hasattr(getattr(kyeo.applications, name), "decode_predictions")]
NETWORKS = [name for name in kyeo.applications.__all__ if name[0].isupper()]
CALLS = [call.strip() for line in ROWS.strip().splitlines() for call in line.split(" | ")]
CALLS += [f"applications.{name}(weights=None)" for name in thinned(NETWORKS, 4)]
CALLS += [f"applications.{name}.{call}" for name in FAMILIES for call in ("preprocess_input(PIXELS)", "decode_predictions(SCORES)")]
CALLS += [f"datasets.{name}.load_data()" for name in kyeo.datasets.__all__]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """A working folder with something to read, no way to the network, and the settings put back."""
    place = tmp_path_factory.mktemp("wrong")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("KERAS_HOME", str(place))
        patch.setattr("socket.socket.connect", lambda *args: pytest.fail("goes to the network"))
        for kind, label in ((k, c) for k in ("images", "texts", "sounds") for c in "ab"):
            (place / kind / label).mkdir(parents=True)
            if kind == "images":
                kyeo.utils.save_img(place / kind / label / "0.png", PIXELS[0])
            elif kind == "texts":
                (place / kind / label / "0.txt").write_text("words")
            else:
                with wave.open(str(place / kind / label / "0.wav"), "wb") as file:
                    file.setparams((1, 2, 8000, 4, "NONE", ""))
                    file.writeframes(bytes(8))
        MODEL.save("m.keras")
        MODEL.save_weights("m.weights.h5")
        yield
    for name, value in (("floatx", "float32"), ("epsilon", 1e-7), ("dtype_policy", "float32"), ("max_epochs", None)):
        getattr(kyeo.config, f"set_{name}")(value)


@pytest.mark.parametrize("call", CALLS)
def test_functions(call):
    node = ast.parse(call, mode="eval").body
    fn = eval(ast.unparse(node.func), {**vars(kyeo), **{n: getattr(kyeo, n) for n in kyeo.__all__}})
    args, kwargs = [eval(ast.unparse(a), dict(VALUES)) for a in node.args], {k.arg: eval(ast.unparse(k.value), dict(VALUES)) for k in node.keywords}
    signature, name, wrong = inspect.signature(fn), call.partition("(")[0], []
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for parameter in signature.parameters.values():
        def make(value, p=parameter):
            bound = signature.bind(*args, **kwargs)
            bound.arguments[p.name] = {p.VAR_POSITIONAL: (value,), p.VAR_KEYWORD: {"no_such": value}}.get(p.kind, value)
            made = fn(*bound.args, **bound.kwargs)
            if hasattr(made, "__enter__"):
                with made:
                    pass

        said = "no_such" if parameter.kind is parameter.VAR_KEYWORD else parameter.name
        wrong += complaints(fn.__name__, said, bad_values(parameter), make)
    if not takes_any:
        wrong += complaints(name, "no_such_argument", [1], lambda value: fn(*args, **kwargs, no_such_argument=value))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", wrappers.__all__[2:])
def test_estimators(name):
    cls, wrong = getattr(wrappers, name), []
    for parameter in inspect.signature(cls).parameters.values():
        right = {"model": lambda X, y: MODEL}
        wrong += complaints(name, parameter.name, bad_values(parameter),
                            lambda value, p=parameter.name: cls(**{**right, p: value}).fit(np.ones((4, 3)), np.array([0, 1, 0, 1])))
    assert not wrong, "\n".join(wrong)
