"""A plugin for GNU Mailman 3: no post that its author's key, as the list's stash has it, did not sign.

It runs in Mailman's own Python and needs nothing there but Mailman and the standard library: keys, rules and databases
are the business of the command `trustgraph`, which it asks (:mod:`.asking`). So the package can be installed beside
any version of Mailman's own dependencies (``pip install --no-deps``).

    [plugin.trustgraph]
    class: trustgraph.mailman.plugin.Plugin
    enabled: yes
    component_package: trustgraph.mailman
    configuration: /etc/mailman3/trustgraph.cfg

    [runner.trustgraph]
    class: trustgraph.mailman.waiting.WaitingRunner
    sleep_time: 1m

    [runner.lmtp]
    class: trustgraph.mailman.lmtp.KeepingLMTPRunner

A list takes part by its posting chain, which `mailman trustgraph LIST` sets: ``trustgraph-posting-chain`` asks the
command about every post before any other rule does; ``trustgraph-gated-chain`` trusts a gate in front of Mailman (pipe
or milter) and its field on the post.
"""
