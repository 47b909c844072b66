"""GET /hello: what to compare before trusting a server that nobody else vouches for. For people, without script."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from iris.http.service import TheService

router = APIRouter()

_OWN = """<p>Your browser has warned you: nobody but this server itself vouches for its certificate. Whoever invited
you has sent you a line that begins with <code>iris://</code>. <strong>Before you type a password</strong>, open the
certificate in your browser (the warning or the lock, then “certificate”) and compare its SHA-256 fingerprint with the
end of that line.</p>
<p>This server says that it is</p>
<p><code>{fingerprint}</code></p>
<p>Compare with the line and with what the browser shows, not with this page: somebody in between would show you a page
of their own. If it differs, close this page.</p>
<p>The terminal compares by itself: <code>iris join LINE</code>.</p>
<h2>For the operator: no warning any more</h2>
<p>With a name of yours that leads here, <code>iris serve --public --acme chat.example.org</code> gets a certificate
from Let’s Encrypt and renews it. One that you have, Iris takes with
<code>--tls-certificate fullchain.pem --tls-key privkey.pem</code>, and a renewed one at SIGHUP.</p>
"""
_SIGNED = (
    "<p>This server has a certificate that its operator chose. If your browser does not warn you, all is well.</p>"
)
_PLAIN = "<p>This server is spoken to without TLS, which it does for programs on its own machine only.</p>"


@router.get("/hello", include_in_schema=False)
async def hello(request: Request, service: TheService) -> HTMLResponse:
    """The page."""
    fingerprint = service.settings.fingerprint()
    if fingerprint:
        words = _OWN.format(fingerprint=escape(fingerprint))
    else:
        words = _SIGNED if request.url.scheme == "https" else _PLAIN
    return HTMLResponse(
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Iris: who is this server?</title>\n'
        f"<h1>Who is this server?</h1>\n{words}</html>\n"
    )
