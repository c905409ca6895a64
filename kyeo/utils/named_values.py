"""Config: named values, as attributes and as entries of a dict."""

import json
from collections.abc import ItemsView, KeysView, ValuesView
from typing import Any

from kyeo.core.errors import did_you_mean, problem

__all__ = ["Config"]


class Config:
    """Named values that can be frozen and written as JSON.

    Args:
        kwargs: the first values.

    >>> import kyeo
    >>> config = kyeo.utils.Config(rate=0.1)
    >>> config.seed = 3
    >>> config["rate"], config.to_json()
    (0.1, '{"rate": 0.1, "seed": 3}')
    """

    def __init__(self, **kwargs: Any):
        object.__setattr__(self, "_config", kwargs)
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self) -> bool:
        """Whether values can no longer be set."""
        return self._frozen

    def freeze(self) -> None:
        """Let no value be set from now on."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Let values be set again."""
        object.__setattr__(self, "_frozen", False)

    def _check_open(self) -> None:
        if self._frozen:
            raise problem("The config is frozen.", received="a change", where="utils.Config",
                          fix="call `unfreeze()`, or make a new Config")

    def as_dict(self) -> dict[str, Any]:
        """The values as a dict of its own."""
        return dict(self._config)

    def to_json(self) -> str:
        """The values as JSON."""
        return json.dumps(self._config)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._config.keys()

    def values(self) -> ValuesView[Any]:
        """The values."""
        return self._config.values()

    def items(self) -> ItemsView[str, Any]:
        """Names and values."""
        return self._config.items()

    def pop(self, *args: Any) -> Any:
        """Take a value out, as `dict.pop`."""
        self._check_open()
        return self._config.pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several values, as `dict.update`."""
        self._check_open()
        self._config.update(*args, **kwargs)

    def get(self, keyname: str, value: Any = None) -> Any:
        """A value, or `value` where there is none."""
        return self._config.get(keyname, value)

    def __setattr__(self, name: str, value: Any) -> None:
        self._check_open()
        self._config[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._found(name, AttributeError)

    def __delattr__(self, name: str) -> None:
        self._check_open()
        self._found(name, AttributeError)
        del self._config[name]

    def _found(self, name: str, kind: type[Exception]) -> Any:
        if name in self._config:
            return self._config[name]
        raise problem("There is no such value in the config.", received=repr(name), where="utils.Config", kind=kind,
                      expected="one of " + ", ".join(self._config), fix=did_you_mean(name, self._config))

    def __getitem__(self, name: str) -> Any:
        return self._found(name, KeyError)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __delitem__(self, name: str) -> None:
        self._found(name, KeyError)
        delattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self._config

    def __iter__(self) -> Any:
        return iter(sorted(self._config))

    def __len__(self) -> int:
        return len(self._config)

    def __repr__(self) -> str:
        return f"<Config {self._config}>"
