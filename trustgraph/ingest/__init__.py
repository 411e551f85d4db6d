"""1 read: verification logs, keyrings and tables, each line and packet hostile until proven otherwise.

:mod:`formats` has one pure parser a log format; :mod:`source` opens what is to be read; :mod:`logs`, :mod:`keys` and
:mod:`table` bring it into the store and count what became of it.
"""
