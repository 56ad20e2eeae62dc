"""Measures chatkeep against two alternatives: `make bench`, `make bench QUICK=1`.

Three programs take turns. Each has a separate database on one durable Postgres:

- chatkeep, with JWT authentication;
- `peer_sqlmodel.py`: what a team would typically build, without authentication;
- `limit_asgi.py`: the minimum that a Python service must do, without authentication.
"""
