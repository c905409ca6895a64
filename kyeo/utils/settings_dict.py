"""Config: named values with attribute access, which can be frozen."""

import json
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from kyeo.core.errors import did_you_mean, problem

__all__ = ["Config"]


class Config:
    """A dict of named values that are read and set as attributes too, and can be frozen against changes.

    Args:
        values: the first values by name.

    >>> import kyeo
    >>> config = kyeo.utils.Config(rate=0.1)
    >>> config.steps = 3
    >>> config["steps"], config.as_dict()
    (3, {'rate': 0.1, 'steps': 3})
    >>> config.freeze()
    >>> config.rate = 0.2
    Traceback (most recent call last):
    ...
    ValueError: This config is frozen.
      Received: a change of `rate`
      Fix:      call unfreeze() first
    """

    def __init__(self, **kwargs: Any):
        object.__setattr__(self, "_config", kwargs)
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self) -> bool:
        """Whether changes are refused."""
        return self._frozen

    def freeze(self) -> None:
        """Refuse changes from now on."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Allow changes again."""
        object.__setattr__(self, "_frozen", False)

    def _changing(self, what: str) -> None:
        if self._frozen:
            raise problem("This config is frozen.", received=f"a change of {what}", fix="call unfreeze() first")

    def as_dict(self) -> dict[str, Any]:
        """The values as a plain dict."""
        return dict(self._config)

    def to_json(self) -> str:
        """The values as JSON text."""
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

    def get(self, keyname: str, value: Any = None) -> Any:
        """The value of a name, or `value`."""
        return self._config.get(keyname, value)

    def pop(self, *args: Any) -> Any:
        """Take a value out: `pop(name)` or `pop(name, default)`."""
        self._changing(f"`{args[0]}`" if args else "a value")
        return self._config.pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set values as `dict.update` does."""
        self._changing("several values")
        self._config.update(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        self._changing(f"`{name}`")
        self._config[name] = value

    def __delattr__(self, name: str) -> None:
        self.pop(name)

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("_config", {})
        if name not in values:
            raise problem(f"There is no value `{name}` in this config.", expected="one of " + ", ".join(values),
                          fix=did_you_mean(name, values), kind=AttributeError)
        return values[name]

    __setitem__ = __setattr__
    __delitem__ = __delattr__

    def __getitem__(self, name: str) -> Any:
        return self._config[name]

    def __contains__(self, name: object) -> bool:
        return name in self._config

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._config))

    def __len__(self) -> int:
        return len(self._config)

    def __repr__(self) -> str:
        return f"<Config {self._config}>"
