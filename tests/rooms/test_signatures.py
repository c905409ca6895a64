"""Every public name of these rooms is there, with Keras's parameters, in its order, with its defaults."""

import inspect

import keras
import pytest

import kyeo
from kyeo.core.configurable import parameters_of

ROOMS = ("activations", "constraints", "distillation", "distribution", "dtype_policies", "initializers", "losses",
         "metrics", "optimizers", "optimizers.legacy", "optimizers.schedules", "quantizers", "regularizers")
LEFT_OUT: set[str] = set()


def parameters(value):
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    signature = inspect.signature(value.__init__ if isinstance(value, type) else value)
    return {p.name: p.default for p in signature.parameters.values() if p.name != "self" and p.kind not in kinds}


@pytest.mark.parametrize("room", ROOMS)
def test_names_and_parameters(room):
    ours, theirs = kyeo, keras
    for part in room.split("."):
        ours, theirs = getattr(ours, part), getattr(theirs, part)
    for name in set(dir(theirs)) - LEFT_OUT:
        wanted = getattr(theirs, name)
        if name.startswith("_") or inspect.ismodule(wanted):
            continue
        mine = getattr(ours, name)
        have, inherited = parameters(mine), parameters_of(mine) if isinstance(mine, type) else {}
        for parameter, default in parameters(wanted).items():
            assert parameter in {**inherited, **have} or room.endswith("legacy"), f"{name}: no {parameter}"
            if parameter in have and default is not inspect.Parameter.empty:
                assert repr(have[parameter]) == repr(default), f"{name}: {parameter}={have[parameter]}"
        common = [p for p in parameters(wanted) if p in have]
        assert [p for p in have if p in common] == common, f"{name}: another order"
