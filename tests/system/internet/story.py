"""What happens, act by act. It only looks and counts; whether things went as they should is said by :mod:`claims`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count

from tests.system.gate_lab import DEADLINE, wait_for
from tests.system.internet import operating
from tests.system.internet.cast import Role
from tests.system.internet.host import InternetHost
from tests.system.internet.narration import Narrator
from tests.system.internet.post import Letter
from tests.system.internet.told import Told
from tests.system.internet.world import World

#: The relay and the ring are quiet on the first days; hosts endorse and are rated in the evening of these.
FIRST_EVENING, ENDORSING_EVENING, SCORING_EVENING = 1, 5, 7
LAST_DAY = 8
DAYS = LAST_DAY + 1

#: Letters a day from each host to each honest one.
GOOD, SPAM, RING_SPAM = 2, 5, 2
TRIES = 2
NEWCOMERS_LETTERS = 3


class Story:
    """One telling."""

    def __init__(self, world: World, narrator: Narrator) -> None:
        self._world = world
        self._narrator = narrator
        self._honest = world.playing(Role.HONEST)
        (self._relay,) = world.playing(Role.RELAY)
        self._ring = world.playing(Role.RING)
        (self._newcomer,) = world.playing(Role.NEWCOMER)
        (self._spared,) = [host for host in self._honest if host.player.spared]
        self._others = [host for host in self._honest if host is not self._spared]
        self._careless = [host for host in self._honest if host.player.careless]
        self._numbers = count(1)
        self.told = Told()

    def tell(self) -> Told:
        """From the first key to the last letter."""
        self._keys_are_published()
        self._strangers_write()
        self._two_are_careless()
        self._good_mail_adds_up()
        self._hosts_endorse()
        self._scores_follow()
        self._the_relay_knocks()
        self._keyservers_go_away()
        self._keyservers_come_back()
        self._count_everything()
        return self.told

    def _keys_are_published(self) -> None:
        self._narrator.act(
            "Ten mail hosts make a host key each and publish it",
            f"Each tells two of the {len(self._world.nodes)} keyservers; what one of those learns it tells the others.",
        )
        hosts = list(self._world.hosts.values())
        self._world.each(operating.publish_key, hosts)
        self._world.each(InternetHost.start, hosts)
        self._narrator.say(f"{len(hosts)} hosts serve, each with its milter")

    def _strangers_write(self) -> None:
        self._narrator.act(
            "Nobody knows anybody",
            "All but the newcomer write to the honest hosts. Whoever signs is let in within a newcomer's allowance.",
        )
        relays: list[Letter] = []
        for day in range(FIRST_EVENING + 1):
            relays += (own := self._letters(day, [self._relay], GOOD))
            self._mail_of_a_day(day, [*self._letters(day, self._honest, GOOD), *own])
        self.told.relay_at_first = self._world.post.counts(relays)
        self._wait_for_gossip(self._world.hosts.values())

    def _two_are_careless(self) -> None:
        names = " and ".join(host.player.word for host in self._careless)
        self._narrator.act(
            f"{names} endorse the relay by hand",
            "It had been polite so far. The ring endorses itself and the relay.",
        )
        for host in self._careless:
            operating.pin(host, self._relay, "nice people, met them at a fair")
            self._narrator.say(f"{host.name} signed {self._relay.name}")
        gang = [*self._ring, self._relay]
        self._world.each(self._pin_all_of(gang), self._ring)
        self._evening()
        self.told.before = operating.look(self._honest, self._names())
        self._narrator.ratings(self.told.before, self._judged())

    def _good_mail_adds_up(self) -> None:
        self._narrator.act(
            "The relay shows what it is, and the honest hosts go on as before",
            "What comes in is sorted by a content filter, whose verdicts are trustgraph's feedback. "
            f"Only {self._spared.player.word} is spared.",
        )
        for day in range(FIRST_EVENING + 1, ENDORSING_EVENING + 1):
            spam = self._spam(day, [self._relay], SPAM, self._others)
            spam += self._spam(day, self._ring, RING_SPAM, self._others)
            self._mail_of_a_day(day, [*self._letters(day, self._honest, GOOD), *spam])

    def _hosts_endorse(self) -> None:
        self._narrator.act(
            "Each honest host endorses who has earned it",
            "By what it received itself, and nothing else. It certifies the other's key and publishes that.",
        )
        self._wait_for_gossip([self._relay, *self._ring])
        self._evening()
        self._wait_for_gossip(self._honest)

    def _scores_follow(self) -> None:
        self._narrator.act(
            "Keys are fetched anew, with what others say of them, and everybody is rated",
            "Endorsements count from hosts that are endorsed themselves; three are needed.",
        )
        for day in range(ENDORSING_EVENING + 1, SCORING_EVENING + 1):
            spam = self._spam(day, [self._relay, *self._ring], RING_SPAM, self._others)
            self._mail_of_a_day(day, [*self._letters(day, self._honest, GOOD), *spam])
        self._evening()
        self.told.after = operating.look(self._honest, self._names())
        self._narrator.ratings(self.told.after, self._judged())

    def _the_relay_knocks(self) -> None:
        self._narrator.act(
            "The relay knocks at every gate",
            f"It has four signatures on its key, two of them by honest hosts. {self._spared.name}, which never saw its "
            "spam, goes by the strict rules from now on: who has no standing stays out.",
        )
        day = LAST_DAY
        self._world.calendar.turn_to(day)
        self._spared.turn_strict()
        self._wait_for_gates()
        post, at = self._world.post, self._world.calendar.now()
        relays = self._spam(day, [self._relay], TRIES, self._honest)
        rings = self._spam(day, self._ring, TRIES, self._honest)
        honest = self._letters(day, self._honest, GOOD)
        before = self._reasons()
        post.send([*relays, *rings, *honest], at)
        self.told.honest_reasons = self._reasons() - before
        fates = post.fates(relays)
        for host in self._honest:
            replies = Counter(fates[letter].reply for letter in relays if letter.recipient == host.name)
            self.told.relay_at_last[host.name] = replies
            reason = host.last_reason(self._relay.name)
            self.told.relay_reasons[host.name] = reason
            self._narrator.say(f"{host.name} answered {', '.join(replies)} ({reason})")
        self.told.ring_at_last = post.counts(rings)
        self.told.honest_at_last = post.counts(honest)
        self._narrator.say(f"the honest hosts' own letters: {_counted(self.told.honest_at_last)}")

    def _keyservers_go_away(self) -> None:
        self._narrator.act(
            f"That afternoon all keyservers die; a newcomer writes to all but the strict {self._spared.player.word}",
            "Nobody has its key at hand, so its letters wait in its own queue. Who is known is let in as before.",
        )
        for node in self._world.nodes:
            node.kill()
        self._newcomers = self._letters(LAST_DAY, [self._newcomer], NEWCOMERS_LETTERS, self._others)
        known = self._letters(LAST_DAY, self._honest, 1)
        post, before = self._world.post, self._reasons()
        post.submit([*self._newcomers, *known], self._world.calendar.now())
        post.settle()
        self.told.outage_sent = len(self._newcomers)
        self.told.outage_newcomer = Counter(fate.reply for fate in post.fates(self._newcomers).values())
        self.told.outage_waiting = len(self._newcomer.queue())
        self.told.outage_cached = post.counts(known)
        self.told.outage_reasons = self._reasons() - before
        self._narrator.say(f"{self.told.outage_waiting} letters wait at {self._newcomer.name}: {self._why_waiting()}")
        self._narrator.say(f"the honest hosts' letters meanwhile: {_counted(self.told.outage_cached)}")

    def _keyservers_come_back(self) -> None:
        self._narrator.act(
            "The keyservers come back",
            "The newcomer's host tries again, as every mail host does.",
        )
        for node in self._world.nodes:
            node.start()
        post = self._world.post
        wait_for(lambda: self._retried() == 0, "the newcomer's queue should run empty", 90)
        self.told.return_waiting = len(self._newcomer.queue())
        self.told.return_newcomer = post.counts(self._newcomers)
        self._narrator.say(f"the newcomer's letters: {_counted(self.told.return_newcomer)}")

    def _count_everything(self) -> None:
        self._narrator.act("Where every letter is", "Nothing may be lost.")
        post = self._world.post
        self.told.tally = post.tally()
        self.told.queues = {name: len(host.queue()) for name, host in self._world.hosts.items()}
        self.told.sent = len(post.sent)
        self._narrator.ratings(self.told.after, self._judged())
        self._narrator.letters(self.told.tally, self.told.queues)

    def _letters(
        self, day: int, senders: Iterable[InternetHost], each: int, recipients: Iterable[InternetHost] = ()
    ) -> list[Letter]:
        """So many from each of the senders to each of the recipients, default all honest hosts."""
        return self._written(day, senders, each, recipients or self._honest, spam=False)

    def _spam(
        self, day: int, senders: Iterable[InternetHost], each: int, recipients: Iterable[InternetHost]
    ) -> list[Letter]:
        return self._written(day, senders, each, recipients, spam=True)

    def _written(
        self,
        day: int,
        senders: Iterable[InternetHost],
        each: int,
        recipients: Iterable[InternetHost],
        *,
        spam: bool,
    ) -> list[Letter]:
        return [
            Letter(sender.name, recipient.name, day, next(self._numbers), spam)
            for _ in range(each)
            for sender in senders
            for recipient in recipients
            if recipient is not sender
        ]

    def _mail_of_a_day(self, day: int, letters: list[Letter]) -> None:
        self._world.calendar.turn_to(day)
        began = time.monotonic()
        self._world.post.send(letters, self._world.calendar.now())
        spam = sum(letter.spam for letter in letters)
        self._narrator.say(
            f"day {day:2}: {len(letters)} letters, {spam} of them spam: {_counted(self._world.post.counts(letters))} "
            f"({time.monotonic() - began:.1f} s)"
        )

    @staticmethod
    def _pin_all_of(gang: list[InternetHost]) -> Callable[[InternetHost], None]:
        def pin_others(one: InternetHost) -> None:
            for other in gang:
                if other is not one:
                    operating.pin(one, other, "ours")

        return pin_others

    def _evening(self) -> None:
        """Of each honest host: mail is sorted, and `trustgraph recompute --once` does what is due."""
        at = self._world.calendar.now()

        def work(host: InternetHost) -> str:
            counts = operating.sort_mail(host, at)
            told = operating.recompute(host)
            return (
                f"{host.name}: {counts.good} good letters and {counts.junk} of junk since the last time, "
                f"{told['score']['endorsements']} endorsements known, {told['endorse']['spoken_of']} made"
            )

        for line in self._world.each(work, self._honest):
            self._narrator.say(line)

    def _wait_for_gossip(self, hosts: Iterable[InternetHost]) -> None:
        seconds = self._world.wait_for_gossip(hosts)
        self._narrator.say(f"gossip: all {len(self._world.nodes)} keyservers agree (waited {seconds:.1f} s)")

    def _wait_for_gates(self) -> None:
        """Until each gate has noticed the new ratings, as a letter by an honest host shows."""
        left = list(zip(self._honest, [*self._honest[1:], self._honest[0]], strict=True))

        def noticed() -> bool:
            for gate, sender in left.copy():
                letter = Letter(sender.name, gate.name, LAST_DAY, next(self._numbers), spam=False)
                self._world.post.send([letter], self._world.calendar.now())
                if gate.last_reason(sender.name) == "accepted":
                    left.remove((gate, sender))
            return not left

        deadline = time.monotonic() + DEADLINE
        while not noticed():
            assert time.monotonic() < deadline, f"gates that do not notice new ratings: {left}"
            time.sleep(1)

    def _retried(self) -> int:
        time.sleep(0.5)
        return self._world.post.retry(self._newcomer)

    def _reasons(self) -> Counter[str]:
        """Why honest hosts treated each other's letters as they did, so far."""
        names = {host.name for host in self._honest}
        events = [event for host in self._honest for event in host.events("message_judged")]
        return Counter(str(event["reason"]) for event in events if event.get("client_host") in names)

    def _names(self) -> dict[str, str]:
        return {f"openpgp:{host.fingerprint}": host.name for host in self._world.hosts.values()}

    def _judged(self) -> list[str]:
        return list(self._world.hosts)

    def _why_waiting(self) -> str:
        return ", ".join(self.told.outage_newcomer) or "no reply"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counts.items())) or "none"
