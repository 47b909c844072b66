"""Writes tokens.json: access tokens and what every validator of Iris must say of them.

Run it after a change of the rules.

`stricter` marks what a general JWT library (PyJWT) takes although Iris does not.
"""

from __future__ import annotations

import base64
import hmac
import json
from pathlib import Path
from typing import Any

NOW_MS = 1_760_000_000_500
LEEWAY_MS = 60_000
NOW = NOW_MS // 1000
KEYS = {"k1": bytes(range(32)), "k0-retired": bytes(range(32, 64))}
USER = "0123456789abcdefghjkmnpqrs"
CLAIMS: dict[str, Any] = {
    "sub": USER, "dev": 3, "gen": 7, "jti": "j-1_A", "iat": NOW - 10, "exp": NOW + 3590, "aud": "iris",
}  # fmt: skip
HEADER: dict[str, Any] = {"alg": "HS256", "kid": "k1", "typ": "JWT"}
DAY = 86_400
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def sign(signed: str, key: bytes, digest: str = "sha256") -> str:
    return b64(hmac.digest(key, signed.encode(), digest))


def token(header: bytes, payload: bytes, key: bytes = KEYS["k1"], digest: str = "sha256") -> str:
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{sign(signed, key, digest)}"


def of(changes: dict[str, Any] | None = None, *, header: dict[str, Any] | None = None, drop: str = "") -> str:
    claims = {name: value for name, value in {**CLAIMS, **(changes or {})}.items() if name != drop}
    return token(compact(header or HEADER), compact(claims))


class Vectors:
    """The cases so far."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []

    def add(self, name: str, text: str, expect: object = "TOKEN_INVALID", stricter: bool = False) -> None:
        """A token that does not stand, unless `expect` holds claims."""
        row = {"name": name, "token": text, "expect": expect}
        self.found.append(row | ({"stricter": True} if stricter else {}))

    def good(self, name: str, text: str, **changes: object) -> None:
        """A token that stands."""
        claims = {**CLAIMS, **changes}
        self.add(name, text, {name: claims[name] for name in ("sub", "dev", "gen", "jti", "exp")})


def cases() -> list[dict[str, Any]]:
    """All of them."""
    vectors = Vectors()
    for part in (those_that_stand, time, algorithm_and_key, header, claims, json_forms, form, spelling):
        part(vectors)
    return vectors.found


def those_that_stand(v: Vectors) -> None:
    v.good("valid", of())
    v.good("valid, members in another order", token(b'{"typ":"JWT","alg":"HS256","kid":"k1"}', compact(CLAIMS)))
    v.good(
        "valid, white space in the JSON", token(b'{"alg": "HS256", "kid": "k1"}', json.dumps(CLAIMS, indent=1).encode())
    )
    v.good("valid, without typ", of(header={"alg": "HS256", "kid": "k1"}))
    old = token(compact({**HEADER, "kid": "k0-retired"}), compact(CLAIMS), KEYS["k0-retired"])
    v.good("valid, signed by a retired key", old)
    v.good("valid, with a claim of a later version", of({"scope": ["bot"], "x": {"y": None}}))
    v.good("longest life", of({"iat": NOW, "exp": NOW + DAY}), exp=NOW + DAY)
    v.good("issued ahead, at the edge of the leeway", of({"iat": NOW + 60}))
    v.good("expired within the leeway", of({"iat": NOW - 100, "exp": NOW - 59}), exp=NOW - 59)
    v.good("not before, now", of({"nbf": NOW}))
    v.good("largest device and gen", of({"dev": 2**32 - 1, "gen": 2**53}), dev=2**32 - 1, gen=2**53)


def time(v: Vectors) -> None:
    v.add("expired", of({"iat": NOW - 7200, "exp": NOW - 3600}), "TOKEN_EXPIRED")
    v.add("expired, just past the leeway", of({"iat": NOW - 100, "exp": NOW - 60}), "TOKEN_EXPIRED")
    v.add("issued ahead, past the leeway", of({"iat": NOW + 61}))
    v.add("not before, ahead", of({"nbf": NOW + 61}))
    v.add("lives a second too long", of({"iat": NOW, "exp": NOW + DAY + 1}), stricter=True)
    v.add("expired and too long-lived", of({"iat": NOW - 3 * DAY, "exp": NOW - DAY}))
    v.add("expires when issued", of({"iat": NOW, "exp": NOW}), stricter=True)
    v.add("expires before it is issued", of({"iat": NOW + 10, "exp": NOW}), stricter=True)


def algorithm_and_key(v: Vectors) -> None:
    body = of().split(".")[1]
    none = f"{b64(compact({'alg': 'none', 'typ': 'JWT', 'kid': 'k1'}))}.{body}"
    v.add("alg none, no signature", f"{none}.")
    v.add("alg none, with a signature", f"{none}.{sign(none, KEYS['k1'])}")
    for alg in ("None", "hs256", "HS384", "HS512", "RS256", "ES256", "EdDSA", "", None, 256, ["HS256"]):
        v.add(f"alg {alg!r}", of(header={**HEADER, "alg": alg}))
    v.add("alg HS512, signed so", token(compact({**HEADER, "alg": "HS512"}), compact(CLAIMS), digest="sha512"))
    v.add("no alg", of(header={"kid": "k1", "typ": "JWT"}))
    v.add("no kid", of(header={"alg": "HS256", "typ": "JWT"}))
    for kid in ("k2", "", None, 1, ["k1"], "../k1", "k1\0", "k" * 65):
        v.add(f"kid {str(kid)[:8]!r} of type {type(kid).__name__}", of(header={**HEADER, "kid": kid}))
    v.add("kid of another key", token(compact({**HEADER, "kid": "k0-retired"}), compact(CLAIMS)))
    v.add("signed by the empty key", token(compact(HEADER), compact(CLAIMS), b""))


def header(v: Vectors) -> None:
    key_inside = {"jwk": {"kty": "oct", "k": b64(b"x" * 32)}}
    v.add("signed by a key it brings along", token(compact({**HEADER, **key_inside}), compact(CLAIMS), b"x" * 32))
    others: dict[str, object] = {"jku": "https://example.org/keys", "x5u": "https://example.org", "x5c": []}
    others |= {"zip": "DEF", "cty": "JWT", "x": 1}
    for name, value in (key_inside | others).items():
        v.add(f"header with {name}", of(header={**HEADER, name: value}), stricter=True)
    v.add("header with b64", of(header={**HEADER, "b64": True}), stricter=True)
    v.add("header with crit", of(header={**HEADER, "crit": ["exp"]}))
    v.add("typ of another kind", of(header={**HEADER, "typ": "at+jwt"}), stricter=True)
    v.add("alg given twice", token(b'{"alg":"none","alg":"HS256","kid":"k1"}', compact(CLAIMS)), stricter=True)
    v.add("header is no object", token(b'["HS256","k1"]', compact(CLAIMS)))
    v.add("header is no JSON", token(b"HS256", compact(CLAIMS)))
    v.add("header is not UTF-8", token(b'{"alg":"HS256","kid":"k1","typ":"\xff"}', compact(CLAIMS)))


def claims(v: Vectors) -> None:
    for name in CLAIMS:
        v.add(f"no {name}", of(drop=name), stricter=name in ("dev", "gen"))
    wrong: dict[str, list[Any]] = {
        "sub": [
            USER.upper(),
            USER[:-1],
            USER + "0",
            "8" + USER[1:],
            "o" + USER[1:],
            "0l" + USER[2:],
            USER + "\n",
            1,
            None,
            [USER],
        ],
        "dev": [0, -1, 2**32, 3.0, 3.5, "3", True, None, [3]],
        "gen": [-1, 2**53 + 1, 7.0, "7", True, None],
        "jti": ["", "j" * 65, "a b", "ä", 1, None],
        "iat": [-1, True, str(NOW), NOW + 0.5, None],
        "exp": [True, str(NOW + 60), NOW + 60.5, None, 2**53 + 1, 10**400],
        "aud": ["Iris", "iris2", ["iris"], ["iris", "x"], None, 1, {}],
        "nbf": [str(NOW), True, -1, None, 1.5],
    }
    pyjwt_refuses: dict[str, list[Any]] = {
        "sub": [1, None, [USER]], "dev": [], "gen": [], "jti": [1, None], "iat": [None], "nbf": [None],
        "exp": [True, None], "aud": ["Iris", "iris2", None, 1, {}],
    }  # fmt: skip
    for name, values in wrong.items():
        for value in values:
            refused_too = any(
                value is other or (value == other and type(value) is type(other)) for other in pyjwt_refuses[name]
            )
            shown = json.dumps(value)
            v.add(f"{name} is {shown[:30]}", of({name: value}), stricter=not refused_too)


def json_forms(v: Vectors) -> None:
    text = compact(CLAIMS).decode()
    v.add("sub given twice", token(compact(HEADER), text.replace("{", f'{{"sub":"{USER}",', 1).encode()), stricter=True)
    v.add("gen is NaN", token(compact(HEADER), text.replace('"gen":7', '"gen":NaN').encode()), stricter=True)
    v.add("exp is Infinity", token(compact(HEADER), text.replace(f'"exp":{NOW + 3590}', '"exp":Infinity').encode()))
    v.add(
        "exp with an exponent",
        token(compact(HEADER), text.replace(f'"exp":{NOW + 3590}', '"exp":1.8e9').encode()),
        stricter=True,
    )
    v.add("an unknown claim is NaN", token(compact(HEADER), text.replace("{", '{"x":NaN,', 1).encode()), stricter=True)
    v.add("payload is a list", token(compact(HEADER), b"[]"))
    v.add("payload is empty", token(compact(HEADER), b""))
    v.add("payload is no JSON", token(compact(HEADER), b"{"))
    v.add("payload goes on after its end", token(compact(HEADER), compact(CLAIMS) + b"{}"))
    v.add("payload is not UTF-8", token(compact(HEADER), compact({**CLAIMS, "x": 1})[:-2] + b'"\xff"}'))
    v.add("payload with a byte order mark", token(compact(HEADER), b"\xef\xbb\xbf" + compact(CLAIMS)), stricter=True)
    v.add("payload nested a thousand deep", token(compact(HEADER), b'{"x":' + b"[" * 1000 + b"]" * 1000 + b"}"))


def form(v: Vectors) -> None:
    valid = of()
    head, body, signature = valid.split(".")
    forms: dict[str, str] = {
        "empty": "", "dots": "..", "one part": head, "two parts": f"{head}.{body}", "four parts": f"{valid}.x",
        "a leading dot": f".{valid}", "no signature": f"{head}.{body}.", "a cut signature": valid[:-1],
        "a longer signature": valid + "A", "a blank before": " " + valid, "a line end": valid + "\n",
        "a NUL": valid + "\0",
        "parts swapped": f"{body}.{head}.{signature}", "Bearer before": f"Bearer {valid}", "beyond ASCII": valid + "ä",
        "a full-width dot": valid.replace(".", "．"),
    }  # fmt: skip
    for name, text in forms.items():
        v.add(f"form: {name}", text)


def spelling(v: Vectors) -> None:
    valid = of()
    head, body, signature = valid.split(".")
    v.add("padding after the signature", valid + "=", stricter=True)
    v.add("padding in the payload", _resigned(head, body + "=" * (-len(body) % 4 or 4)), stricter=True)
    v.add("padding in the header", _resigned(head + "=" * (-len(head) % 4 or 4), body), stricter=True)
    spare = _ALPHABET[_ALPHABET.index(signature[-1]) | 1]  # 43 letters hold 258 bits, of which 256 are used
    v.add("spare bits of the signature set", valid[:-1] + spare)
    plus = next(of({"jti": f"j{n}"}) for n in range(10_000) if "_" in of({"jti": f"j{n}"}).split(".")[2])
    h, b, s = plus.split(".")
    v.add("signature in the other base64 alphabet", f"{h}.{b}.{s.replace('_', '/')}")
    v.add("longer than any token", of({"x": "y" * 4096}), stricter=True)


def _resigned(head: str, body: str) -> str:
    return f"{head}.{body}.{sign(f'{head}.{body}', KEYS['k1'])}"


def document() -> dict[str, Any]:
    return {
        "now_ms": NOW_MS,
        "leeway_ms": LEEWAY_MS,
        "keys": {kid: key.hex() for kid, key in KEYS.items()},
        "cases": cases(),
    }


if __name__ == "__main__":
    Path(__file__).with_name("tokens.json").write_text(json.dumps(document(), indent=1) + "\n")
