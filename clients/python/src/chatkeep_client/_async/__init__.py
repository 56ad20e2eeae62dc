"""The asynchronous client, of which `sync_from_async.py` makes the other one."""
