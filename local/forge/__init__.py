"""The embedded forge: bare git repositories behind GitHub's REST API and git smart HTTP.

It exists so that a fresh machine needs no GitHub account: the same PyGithub and the same git talk to it, only
the address differs. The standard it follows is GitHub's published REST description, in the form GitHub
Enterprise serves it (prefix ``/api/v3``).

    python -m local.forge --host 127.0.0.1 --port P --data DIR     the token comes in FORGE_TOKEN

A second user, who can approve what the first one opened, has the token FORGE_REVIEWER_TOKEN. With
``--webhook-url URL`` everything is told there as well, signed with FORGE_WEBHOOK_SECRET.

``store`` has the rows: repositories, pull requests (with their edits, their merge, and what a push changes of
them), reviews, comments, statuses, check runs, and the branch protections that ``merge_requirements`` puts to
a merge.  ``git`` runs git: the smart HTTP front, refs, commits, diffs, contents, and ``push_rules``, which
put the protections to a push.  ``rest`` and ``graphql`` are GitHub's APIs, ``html`` is what a browser shows.
``webhooks`` has the hooks, the events noted in the transaction that does something, the payloads, the
deliveries as queue and log, and the sender.  ``viewer`` is who looks, and from where; ``github_app`` the
installations of an App; ``seed`` makes a repository of files.
"""
