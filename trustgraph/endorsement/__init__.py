"""Who has earned an endorsement by the mail that this host itself received, and who has lost it. Pure.

:mod:`.history` sums daily counts up, :mod:`.rules` says what is asked for and in words what is missing, :mod:`.plan`
decides for each key: issue, renew, revoke, keep or not yet, with the figures and the reason.
"""
