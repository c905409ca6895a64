"""ModelFiles: the part of Model that writes and reads files. The work is in `kyeo.saving` and `kyeo.export`."""

from pathlib import Path
from typing import Any

from kyeo.core.plain import plainly
from kyeo.saving import load_weights, model_to_json, save_model, save_weights
from kyeo.saving.notes import notes_in
from kyeo.train.turns import Turns

__all__ = ["ModelFiles"]


class ModelFiles:
    """Mixin of Model: saving, loading, export."""

    _turns: Turns

    @plainly
    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Write the whole model to a `.keras` file; `kyeo.saving.load_model` reads it.

        Args:
            filepath: where to; the name ends in ".keras" (or ".h5", for programs of Keras 2).
            overwrite: whether an existing file may be replaced.
            zipped: False writes a folder of three files instead.
        """
        with self._turns.step:  # a step of another thread waits
            save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    @plainly
    def save_weights(self, filepath: Any, overwrite: bool = True, max_shard_size: Any = None, **kwargs: Any) -> None:
        """Write the weights, and the state of the optimizer, to a file; see `kyeo.saving.save_weights`.

        Args:
            filepath: where to; the name ends in ".weights.h5" or ".safetensors".
            overwrite: whether an existing file may be replaced.
            max_shard_size: how many GB a file may have; the weights go into as many as it takes.
        """
        with self._turns.step:
            save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size, **kwargs)

    @plainly
    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Read weights that `save_weights` (or Keras) wrote; all are checked before the first is changed.

        Args:
            filepath: the file.
            skip_mismatch: leave weights that do not fit as they are, with a warning, instead of raising.
        """
        load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def _noted_in(self, path: Path) -> dict[str, Any]:
        """What a callback noted in a file as it saved this model, or another one."""
        return notes_in(path)

    def export(self, filepath: Any, format: str | None = None, verbose: bool | None = None, input_signature: Any = None,
               **kwargs: Any) -> None:
        """Write what `predict` computes as a program that runs without the model; see `docs/export.md`.

        Args:
            filepath: the file to write; it appears whole or not at all.
            format: "stablehlo" or "onnx"; None goes by the file's name, ".onnx" or not.
            verbose: whether to print the file's name; True where None.
            input_signature: `(shape, dtype)` of the input, or a list or dict of them, with None for sizes left open;
                for a `call(self, x, y)` a list of one for each. Needed for models that write their own `call` and were
                not called yet, or not on floats.
            opset_version: of "onnx" only: the version of its operators, 18 where None.
        """
        from kyeo.export import export_model  # it needs parts of JAX that take 20 ms to load

        export_model(self, filepath, format, verbose, input_signature, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON text."""
        return model_to_json(self, **kwargs)
