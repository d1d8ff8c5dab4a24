"""Parts that have to be closed, and are when their context is left."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """A context of its own; leaving it closes it."""

    @abstractmethod
    def close(self) -> None:
        """End it, whatever state it is in."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
