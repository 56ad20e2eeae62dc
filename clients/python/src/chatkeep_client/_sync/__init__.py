# Written by sync_from_async.py from _async/__init__.py; change that file.
"""The synchronous client."""
