"""Connections that cannot be held for nothing: a request's head, and each stretch of an answer, has a time to be through.

uvicorn ends a connection that is idle after an answer; one that never asks, asks letter by letter, or does not take what it
asked for would stay, and a hundred of them would keep everybody out. How long a body may take is the matter of `intake`.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
STALLED_SECONDS = 30.0


class PatientConnection(H11Protocol):
    """uvicorn's connection, which ends when its patience does."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head: asyncio.TimerHandle | None = None
        self._answer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:  # between two requests
            self._await_head()
        else:
            self._arrived()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._taken()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self._taken()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _arrived(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _taken(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None
