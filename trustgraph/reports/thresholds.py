"""Where each detector starts to speak, with units; defaults follow the endorsement policy where it has one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the detectors compare with.

    All: ``recent_days``: mail and turns of that many days count. ``observer_trust``: trust in [0, 1] from which on an
    observer's counts are evidence.

    Bad mail: ``bad_share``: the lower 95 % Wilson bound of the bad share must exceed it. ``least_bad``: messages.
    Volume: ``volume_messages``: messages in ``recent_days``. ``volume_good_share``: at most this part of them good.
    ``volume_unjudged``: messages of unknown outcome that are too many even if none (fewer than ``least_bad``) was bad.

    Turn: ``turn_good_days``: days with good mail before it. ``turn_good``: good messages before it.
    ``turn_share_before``: at most this bad share before. ``turn_share_after``: the lower 95 % Wilson bound of the bad
    share after it reaches this. ``turn_ratio``: log-likelihood ratio G; 24 is one in a million for one given day.

    Burst: ``burst_hours``: length of the window. ``burst_least``: operators in it. ``burst_days``: how long ago it may
    be. ``burst_floor``: endorsements a window that are usual anywhere. ``burst_false_alarms``: how many such bursts
    chance may bring about in the whole report.

    Ring: ``ring_size``: members. ``ring_density``: endorsements inside over ordered pairs. ``ring_trust``: trust mass
    entering from outside for each member, over the typical trust mass. ``ring_proven``: part of the members with
    a good mail history (``turn_good_days`` days, bad share at most ``turn_share_before``).
    """

    recent_days: int = 60
    observer_trust: float = 0.25
    bad_share: float = 0.05
    least_bad: int = 10
    volume_messages: int = 50
    volume_good_share: float = 0.5
    volume_unjudged: int = 500
    turn_good_days: int = 14
    turn_good: int = 30
    turn_share_before: float = 0.02
    turn_share_after: float = 0.2
    turn_ratio: float = 24.0
    burst_hours: int = 24
    burst_least: int = 6
    burst_days: int = 90
    burst_floor: float = 0.5
    burst_false_alarms: float = 0.01
    ring_size: int = 3
    ring_density: float = 0.3
    ring_trust: float = 0.1
    ring_proven: float = 0.25
