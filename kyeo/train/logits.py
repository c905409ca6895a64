"""A warning where the last layer gives logits and the loss takes them for probabilities, or the other way round.

Both train without an error, on the wrong loss.
"""

from typing import Any

from kyeo.core.plain import warn

__all__ = ["warn_of_logits"]

# Losses on probabilities, and the activation that makes these.
_MAKERS = {
    "binary_crossentropy": "sigmoid", "binary_focal_crossentropy": "sigmoid", "categorical_crossentropy": "softmax",
    "categorical_focal_crossentropy": "softmax", "sparse_categorical_crossentropy": "softmax",
}
# Activations that leave the range from 0 to 1.
_NO_PROBABILITIES = ("relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "softplus", "softsign")


def warn_of_logits(loss: Any, activation: str | None, where: str) -> None:
    """Warn once per line of the program when a loss and the last layer's activation do not go together.

    Args:
        loss: the loss object of an output.
        activation: the name of the activation that made the output; None where it is not known.
        where: names the output and the loss.
    """
    function = getattr(getattr(loss, "fn", None), "__name__", "")
    maker = _MAKERS.get(function)
    if maker is None:
        return
    name = type(loss).__name__ if type(loss).__name__ != "LossFunctionWrapper" else _class_name(function)
    from_logits = bool(getattr(loss, "from_logits", False))
    if activation == "linear" and not from_logits:
        warn(f"The last layer has no activation, and the loss takes its output for probabilities ({where}). Use "
             f'loss=kyeo.losses.{name}(from_logits=True), or activation="{maker}" in the last layer.')
    elif activation in _NO_PROBABILITIES and not from_logits:
        warn(f'The last layer (activation="{activation}") gives no probabilities, and the loss takes its output for '
             f'such ({where}). Use activation="{maker}" there.')
    elif activation in ("softmax", "sigmoid") and from_logits:
        warn(f'The last layer gives probabilities (activation="{activation}"), and the loss takes them for logits '
             f"({where}). Leave out from_logits=True, or the activation of the last layer.")


def _class_name(function: str) -> str:
    return "".join(part.capitalize() for part in function.split("_"))
