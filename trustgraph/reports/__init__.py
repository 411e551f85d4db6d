"""What people look at: who behaves like a spam relay and why, and the neighbourhood that carries a rating.

    solved problem → evidence → detectors → findings → groups → page, CSV, JSON
                                                     ↘ plots ↗

:mod:`evidence` gathers once what all detectors read. Each detector is a pure function in a module of its own
(:mod:`bad_mail`, :mod:`turns`, :mod:`bursts`, :mod:`rings`, :mod:`host_keys`); :mod:`relays` runs them all. Only
:mod:`files` writes. :mod:`neighbourhood` draws the picture of an explanation.

Notebooks show pictures with a reading computed from their numbers: :mod:`tuning_plots` and :mod:`side_plots` of changed
policies, :mod:`courses` and :mod:`endorsing` of suspects, :mod:`adoption_plots` of signing.
"""
