"""What an object owns is read off its attributes: containers within containers, each object once, by kind."""

from types import SimpleNamespace

from kyeo.core import owned as module
from kyeo.core.owned import owned


class Red:
    pass


class Blue(Red):
    pass


def test_objects_of_a_kind_in_order_each_once():
    a, b, c, d = Red(), Blue(), Red(), Blue()
    nested = [1, "x", {"b": b, "again": a}, (), [[c]]]
    nested.append(nested)  # holds itself
    holder = SimpleNamespace(first=a, number=3, nested=nested, _given=[Red()], blue=d, empty={})
    assert list(owned(holder, Red)) == [a, b, c, d]
    assert list(owned(holder, Blue)) == [b, d]
    assert list(owned(holder, (Blue, int))) == [3, 1, b, d]


def test_types_are_remembered_for_each_kind(monkeypatch):
    monkeypatch.setattr(module, "_MOST_TYPES", 2)  # forgotten in between
    for _ in range(3):
        kinds = [type(name, (Red,), {}) for name in "abc"]
        holder = SimpleNamespace(**{kind.__name__: kind() for kind in kinds}, other=Blue(), text="", part=1.5)
        assert [type(one) for one in owned(holder, kinds[0])] == kinds[:1]
        assert len(list(owned(holder, Red))) == 4
        assert not list(owned(holder, dict))


def test_what_a_holder_hides_is_not_its_own():
    class Holder:
        _not_owned = frozenset({"lent"})

    holder = Holder()
    holder.lent, holder.own = Red(), Red()
    assert list(owned(holder, Red)) == [holder.own]
