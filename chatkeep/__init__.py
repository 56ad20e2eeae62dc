"""Keeps every conversation of a chatbot on its owner's own Postgres.

In the repository the code is in the folders `domain`, `adapters`, `entrypoints` and
`piccolo_migrations`; installed, and here by links, they are packages of this one.
"""
