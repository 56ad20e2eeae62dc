"""Measures chatkeep against what else one could run: `make bench`, `make bench QUICK=1`.

Three programs, each with a database of its own on one durable Postgres, in alternation:

- chatkeep, with JWT authentication;
- `peer_sqlmodel.py`: what a team would build instead, without authentication;
- `limit_asgi.py`: the least that a Python service can do, without authentication.
"""
