"""Taking connections off listening sockets that several processes share, so that none has more of them than another.

The kernel keeps a connection until somebody accepts it: none is lost with a worker that dies, and none is handed to one
that is stuck. A worker accepts one at a time, and only while no other of its set has fewer open. As each counts a
connection before it looks again, two counts never differ by more than one while connections come, whoever is quicker.

Whoever has fewer and leaves a connection lying for too long is passed over until it accepts again.
"""

from __future__ import annotations

import asyncio
import errno
import mmap
import select
import socket
from collections.abc import Callable, Sequence

from trustgraph.milter.listen import BACKLOG

#: Longer than a message takes; shorter than anybody notices, and waited for once only.
PATIENCE_SECONDS = 0.25

#: How often to look whether another has taken what is its to take.
_LOOK_SECONDS = 0.001

#: How long to leave off when the system has nothing left to accept with; others of the set go on.
_PAUSE_SECONDS = 1.0
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_ABSENT = -1


class Shares:
    """What the workers of a set have open, in memory that they share: to be made before they are forked.

    Each place is two machine words that nobody but its worker writes while that lives: how many connections it has
    open, and a count of those that it has accepted. ``patience_seconds``: how long one waits for another's turn.
    """

    def __init__(self, places: int, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._words = memoryview(mmap.mmap(-1, 16 * places)).cast("q")
        for number in range(places):
            self.vacate(number)

    def place(self, number: int) -> Place:
        """One worker's part in it."""
        return Place(self._words, number, self._patience_seconds)

    def vacate(self, number: int) -> None:
        """Whoever had this place is gone: nobody is to wait for it, and its successor is another."""
        self._words[2 * number] = _ABSENT
        self._words[2 * number + 1] += 1


class Place:
    """One worker's part in :class:`Shares`."""

    def __init__(self, words: memoryview[int], number: int, patience_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        self._words, self._mine = words, 2 * number
        self._others = [at for at in range(0, len(words), 2) if at != self._mine]
        self._passed_over: dict[int, int] = {}  # whom, and what it had accepted by then

    def write(self, open_connections: int) -> None:
        """Say how many are open."""
        self._words[self._mine] = open_connections

    def count_accepted(self, open_connections: int) -> None:
        """Say that one more was accepted."""
        self._words[self._mine + 1] += 1
        self.write(open_connections)

    def leave(self) -> None:
        """Say that this worker does not accept."""
        self.write(_ABSENT)

    def is_next(self) -> bool:
        """Whether nobody who is to be waited for has fewer open."""
        return not self._before_us()

    def pass_over(self) -> None:
        """Wait no more for those who have fewer, each until it accepts something."""
        self._passed_over |= {at: self._words[at + 1] for at in self._before_us()}

    def _before_us(self) -> list[int]:
        words, ours = self._words, self._words[self._mine]
        return [at for at in self._others if 0 <= words[at] < ours and self._passed_over.get(at) != words[at + 1]]


class Acceptor:
    """One worker's end of the listening sockets, in one event loop."""

    def __init__(
        self, make: Callable[[], asyncio.BaseProtocol], place: Place | None, on_error: Callable[[BaseException], None]
    ) -> None:
        """``make`` gives the protocol of a new connection, which calls :meth:`closed` when that is over.

        Without a ``place`` there is nobody to share with.
        """
        self._loop = asyncio.get_running_loop()
        self._make, self._on_error = make, on_error
        self._place = place or Shares(1).place(0)
        self._open: set[asyncio.BaseProtocol] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._sockets: list[socket.socket] = []
        self._waiting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._takes_part = False

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept from now on."""
        self._take_part()
        for one in sockets:
            one.setblocking(False)
            self._sockets.append(one)
            self._watch(one)

    def stop(self) -> None:
        """Take what has connected so far, and close this process's listening sockets."""
        for one in self._sockets:
            for _ in range(BACKLOG + 1):
                if not self._accept(one):
                    break
            self._loop.remove_reader(one)
            if one in self._waiting:
                self._waiting.pop(one).cancel()
            one.close()
        self._sockets.clear()
        self._leave()

    async def settle(self) -> None:
        """Until all that were taken are connections of the event loop."""
        while self._connecting:
            await asyncio.wait(self._connecting)

    def closed(self, connection: asyncio.BaseProtocol) -> None:
        """Count it out."""
        self._open.discard(connection)
        if self._takes_part:
            self._place.write(len(self._open))
            if self._waiting and self._place.is_next():
                for listener, timer in list(self._waiting.items()):
                    timer.cancel()
                    self._watch(listener)

    def _take_part(self) -> None:
        self._takes_part = True
        self._place.write(len(self._open))

    def _leave(self) -> None:
        self._takes_part = False
        self._place.leave()

    def _watch(self, listener: socket.socket) -> None:
        self._waiting.pop(listener, None)
        self._loop.add_reader(listener, self._ready, listener)

    def _ready(self, listener: socket.socket) -> None:
        """Somebody has connected. One at a turn of the loop: it comes back here while there are more."""
        if self._place.is_next():
            self._accept(listener)
        else:
            until = self._loop.time() + self._place.patience_seconds
            self._leave_off(listener, _LOOK_SECONDS, self._look, listener, until)

    def _look(self, listener: socket.socket, until: float) -> None:
        """Whether those who have fewer have taken what was there."""
        if not _is_readable(listener):
            self._watch(listener)
            return
        if self._loop.time() >= until:
            self._place.pass_over()
        if self._place.is_next():
            self._watch(listener)
        else:
            self._leave_off(listener, _LOOK_SECONDS, self._look, listener, until)

    def _leave_off(
        self, listener: socket.socket, seconds: float, then: Callable[..., None], *arguments: object
    ) -> None:
        self._loop.remove_reader(listener)  # which may be the case already
        self._waiting[listener] = self._loop.call_later(seconds, then, *arguments)

    def _accept(self, listener: socket.socket) -> bool:
        """Take one connection if there is one; whether there was."""
        try:
            taken, _address = listener.accept()
        except BlockingIOError:
            return False  # another was quicker
        except OSError as error:
            if error.errno not in _EXHAUSTED:  # of that one connection (accept(2)), which is gone
                return True
            self._on_error(error)
            self._leave()
            self._leave_off(listener, _PAUSE_SECONDS, self._resume, listener)
            return False
        taken.setblocking(False)
        connection = self._make()
        self._open.add(connection)
        self._place.count_accepted(len(self._open))
        task = self._loop.create_task(self._connect(connection, taken))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return True

    def _resume(self, listener: socket.socket) -> None:
        self._take_part()
        self._watch(listener)

    async def _connect(self, connection: asyncio.BaseProtocol, taken: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, taken)
        except Exception as error:  # noqa: BLE001 - one connection's, whatever it is; the others go on
            taken.close()
            self.closed(connection)
            self._on_error(error)


def _is_readable(listener: socket.socket) -> bool:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))
