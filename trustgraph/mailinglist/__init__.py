"""Mailing lists: whose key a post must be signed by, and what becomes of one that is not. Pure functions.

A list keeps its subscribers' keys to itself and compares every post with them before it goes out, so that nobody posts
under a subscriber's name.

    address      a From field                      →  the one author, or why there is none
    mime         octets                            →  the parts of a message, cut as they came
    reading      a message                         →  what in it is signed, in its canonical form (RFC 3156, RFC 9580)
    keystate     a key of the stash, a moment      →  whether it may sign then; what may become of it
    token        a deposit                         →  the text that proves possession of a key
    replies      what a subscriber signed          →  the text to look for a token in
    box          a name, a record                  →  what the database has of it, under the list's own key or not
    rules        author, findings, keys, seen      →  a decision, default deny
    letter       a decision, a request             →  what is written to subscribers and moderators (RFC 3834)

:mod:`trustgraph.openpgp.posts` judges the signatures, :mod:`trustgraph.store.lists` keeps the stash.
"""
