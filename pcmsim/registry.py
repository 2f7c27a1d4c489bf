"""Names for the members of a family: one table, one way to look up, one error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from pcmsim.errors import UnknownNameError

Member = TypeVar("Member")


class Registry(Mapping[str, Member]):
    """A read-only mapping whose misses say what is known.

    Parameters
    ----------
    kind : str
        What the members are, for the error text.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._members: dict[str, Member] = {}

    def register(self, name: str) -> Callable[[Member], Member]:
        """Decorator that files its subject under `name`."""

        def file(member: Member) -> Member:
            self._members[name] = member
            return member

        return file

    def __getitem__(self, name: str) -> Member:
        if not isinstance(name, str) or name not in self._members:
            raise UnknownNameError(self.kind, name, self._members)
        return self._members[name]

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)
