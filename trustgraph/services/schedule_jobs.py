"""The jobs that the settings ask for, in the order in which one's work is of use to the next."""

from __future__ import annotations

from functools import partial

from trustgraph.errors import NoInput, ServiceUnavailable
from trustgraph.model import Day, UnixSeconds, day_of
from trustgraph.services.endorsing import endorse
from trustgraph.services.feedback import ingest_feedback
from trustgraph.services.list_letters import send
from trustgraph.services.list_reminders import remind
from trustgraph.services.log import EventLog
from trustgraph.services.recomputation import Recomputation
from trustgraph.services.schedule_keys import KeyRefresh
from trustgraph.services.schedule_run import Facts, Job
from trustgraph.services.scoring import anchors_of
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.observations import prune

#: Rating is what all else is for: a run that does not stay does it in any case.
SCORE = "score"


def jobs_of(store: Store, settings: Settings, log: EventLog) -> list[Job]:
    """Those that have a period and something to work on."""
    work, schedule = _Work(store, settings, log), settings.schedule
    jobs = [
        Job("keys", schedule.keys_seconds, KeyRefresh(store, settings).run, asks_keyservers=True),
        Job("feedback", schedule.feedback_seconds, work.feedback),
        Job(SCORE, schedule.score_seconds, work.score),
        Job("endorse", schedule.endorse_seconds, work.endorse, asks_keyservers=True),
        Job("report", schedule.report_seconds, work.report),
        Job("prune", schedule.prune_seconds, work.prune),
        Job("remind", schedule.remind_seconds, work.remind),
    ]
    idle = set()
    if not settings.keyservers.urls:
        idle.add("keys")
    if not settings.feedback.sources:
        idle.add("feedback")
    if not settings.ingest.retention_seconds:
        idle.add("prune")
    return [job for job in jobs if job.period_seconds and job.name not in idle]


class _Work:
    """What the jobs do, each given the time it begins at. What they raise is why they failed."""

    def __init__(self, store: Store, settings: Settings, log: EventLog) -> None:
        self._store, self._settings, self._log = store, settings, log
        self._recomputation = Recomputation(store, settings)

    def feedback(self, now: UnixSeconds) -> Facts:
        counts = ingest_feedback(self._store, self._settings, self._settings.feedback.sources, now)
        if counts.unread:
            raise NoInput("; ".join(counts.problems))
        return {"pieces": counts.pieces, "moved": counts.moved, "malformed": counts.malformed}

    def score(self, now: UnixSeconds) -> Facts:
        settings = self._settings
        run = self._recomputation.run(
            anchors=anchors_of(settings), algorithm=settings.scoring.algorithm, reference_time=now, now=now
        )
        made = run.generation
        return {
            "generation": made.number,
            "identities": made.identities,
            "endorsements": made.endorsements,
            "notes": list(run.notes) or None,
        }

    def endorse(self, now: UnixSeconds) -> Facts:
        run = endorse(self._store, self._settings, now, publish=True, log=self._log)
        if run.unpublished:
            raise ServiceUnavailable(
                f"{len(run.done)} keys spoken of, but {run.unpublished} endorsed keys are not on every keyserver yet"
            )
        return {"spoken_of": len(run.done), "notes": list(run.notes) or None}

    def report(self, now: UnixSeconds) -> Facts:
        # Matplotlib takes half a second to load and stays in memory, and many sites write no reports.
        from trustgraph.services.relay_report import relay_report  # noqa: PLC0415

        made = relay_report(self._store, self._settings, self._settings.schedule.report_directory, now)
        return {"generation": made.generation, "findings": len(made.findings), "file": str(made.html)}

    def prune(self, now: UnixSeconds) -> Facts:
        kept_days = max(1, int(self._settings.ingest.retention_seconds // 86_400))
        return {"dropped": prune(self._store, Day(day_of(now) - kept_days)), "kept_days": kept_days}

    def remind(self, now: UnixSeconds) -> Facts:
        done = remind(self._store, self._settings, now, partial(send, self._settings))
        if done.problems:
            raise ServiceUnavailable("; ".join(done.problems))
        return {"letters": len(done.sent)}
