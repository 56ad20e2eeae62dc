"""What a load consists of: requests as they go over the wire, and what their answers must have.

As a file: the marker; how often it may stand in an answer; the sizes of the requests; each on a
line. Then the requests, one after the other.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """Requests to send in turn. An answer is right when it is 2xx and has `marker` so often.

    `calls`: how many requests make up one operation.
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
