"""A whole internet on one machine: real Postfixes with real milters, real gossiping keyservers, days that pass quickly.

In the order of the story: :mod:`cast` says who there is, :mod:`clock` what day it is, :mod:`host` is one mail host,
:mod:`post` the letters and what became of each, :mod:`world` all of it running, :mod:`story` what happens,
:mod:`claims` what should have come true, :mod:`pictures` and :mod:`narration` what a person sees of it.

``python -m tests.system.internet --out lab-out`` tells it (``make lab``).
"""
