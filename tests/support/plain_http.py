"""What clients of tests share that call services over plain HTTP only."""

import ssl
from typing import Final

NO_AUTHORITIES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody. Each client would read the certificates of all authorities, which takes 40 ms."""
