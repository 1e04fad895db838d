"""The embedded forge: bare git repositories behind GitHub's REST API and git smart HTTP.

It exists so that a fresh machine needs no GitHub account: the same PyGithub and the same git talk to it, only
the address differs. The standard it follows is GitHub's published REST description, in the form GitHub
Enterprise serves it (prefix ``/api/v3``).

    python -m local.forge --host 127.0.0.1 --port P --data DIR     the token comes in FORGE_TOKEN

A second user, who can approve what the first one opened, has the token FORGE_REVIEWER_TOKEN. With
``--webhook-url URL`` everything is told there as well, signed with FORGE_WEBHOOK_SECRET.

Rooms: ``git`` and ``database`` run the two stores, ``repositories`` joins them. ``refs``, ``commits``,
``diffs``, ``contents``, ``merging`` know git; ``pulls`` (with ``opening`` and ``following``), ``comments``,
``reviews``, ``statuses``, ``check_runs`` and ``check_suites`` know rows. ``protections`` keeps a branch's
rules: ``requirements`` puts them to a merge, ``push_rules`` to a push. ``events`` notes what happened in the
transaction that does it, ``hooks`` want to hear of it, ``deliveries`` are queue and log, ``payloads`` (with
``push_payload``) what is sent, ``courier`` who brings it. ``routes`` is the REST front, ``graph`` (with
``ref_connections``) what GraphQL tells, ``smart_http`` the git front, ``pages`` what a browser shows;
``seed`` makes a repository of files.
"""
