"""A property that is made once and then kept: functools.cached_property without its lock, which Python 3.12 has left out, too.

Two threads that ask at the same moment may both make the value; it is the same.
"""

from collections.abc import Callable
from typing import Generic, TypeVar, overload

T = TypeVar("T")


class kept(Generic[T]):  # noqa: N801  it is used as `property` is
    """For objects that have a `__dict__`."""

    def __init__(self, make: Callable[..., T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "kept[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> "kept[T] | T":
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._make(instance)
        return value
