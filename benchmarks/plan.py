"""The requests of a load as raw bytes, and what their responses must contain.

The file format has three lines: the marker, its allowed counts, and the sizes of the requests. Then
the requests follow without separators.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """Requests to send in turn.

    A response is correct if its status is 2xx and the number of times that it contains `marker` is
    one of `counts`. `calls` is the number of requests in one operation.
    """

    requests: tuple[bytes, ...]
    marker: bytes
    counts: frozenset[int]
    calls: int = 1

    def write(self, path: Path) -> None:
        counts = b" ".join(b"%d" % count for count in self.counts)
        sizes = b" ".join(b"%d" % len(request) for request in self.requests)
        head = b"\n".join([self.marker, counts, sizes, b""])
        path.write_bytes(head + b"".join(self.requests))

    @classmethod
    def read(cls, path: Path) -> "Plan":
        marker, counts, sizes, rest = path.read_bytes().split(b"\n", 3)
        requests = []
        at = 0
        for size in map(int, sizes.split()):
            requests.append(rest[at : at + size])
            at += size
        return cls(tuple(requests), marker, frozenset(map(int, counts.split())))
