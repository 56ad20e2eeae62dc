"""An identity provider: it publishes keys, signs tokens, goes away, and a forger who knows it."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://issuer.example"
AUDIENCE = "chatkeep-tests"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass
class Issuer:
    """`fetched` counts how often somebody asked for the keys. When `away`, they get a 500."""

    keys: dict[str, PrivateKey]
    url: str = ""
    fetched: int = 0
    away: bool = False
    withheld: set[str] = field(default_factory=set)

    def sign(self, kid: str, alg: str, /, *, header: object = None, **changes: object) -> str:
        """Return a token with a signature that is right; a claim changed to None is left out."""
        headers = {"kid": kid} | (header if isinstance(header, dict) else {})
        return jwt.encode(claims(**changes), self.keys[kid], algorithm=alg, headers=headers)

    def public_pem(self, kid: str) -> bytes:
        public = self.keys[kid].public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def published(self) -> bytes:
        writers: dict[type, Any] = {
            rsa.RSAPrivateKey: RSAAlgorithm,
            ec.EllipticCurvePrivateKey: ECAlgorithm,
            ed25519.Ed25519PrivateKey: OKPAlgorithm,
        }
        members = []
        for kid, key in self.keys.items():
            [writer] = [writer for kind, writer in writers.items() if isinstance(key, kind)]
            if kid not in self.withheld:
                members.append(writer.to_jwk(key.public_key(), as_dict=True) | {"kid": kid})
        return json.dumps({"keys": members}).encode()


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    issuer = Issuer(
        {
            "rsa": rsa.generate_private_key(65537, 2048),
            "ec": ec.generate_private_key(ec.SECP256R1()),
            "ed": ed25519.Ed25519PrivateKey.generate(),
            "small": rsa.generate_private_key(65537, 1024),
        }
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        issuer.fetched += 1
        status, body = (b"500 Away", b"{}") if issuer.away else (b"200 OK", issuer.published())
        head = b"HTTP/1.0 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % (status, len(body)) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
    try:
        yield issuer
    finally:
        server.close()


def claims(**changes: object) -> dict[str, Any]:
    now = int(time.time())
    usual = {"sub": "alice", "iat": now, "exp": now + 900, "iss": ISSUER, "aud": AUDIENCE}
    return {name: value for name, value in (usual | changes).items() if value is not None}


def forged(header: dict[str, Any], payload: object, key: bytes | None = None) -> str:
    """Return a token that no signing library would make; without a key, without a signature."""
    signing_input = ".".join(_segment(json.dumps(part).encode()) for part in (header, payload))
    signature = b""
    if key is not None:
        signature = hmac.new(key, signing_input.encode(), hashlib.sha256).digest()
    return f"{signing_input}.{_segment(signature)}"


def _segment(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
