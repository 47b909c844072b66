"""Options that several commands share: flag, environment variable and help, once each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path, typer.Option("--data", envvar="IRIS_DATA", metavar="DIR", help="Data folder of the server.")]
Server = Annotated[
    str, typer.Option("--server", envvar="IRIS_SERVER", metavar="URL", help="http://HOST:PORT, https:// or ws(s)://.")
]
Profile = Annotated[
    Path, typer.Option("--profile", envvar="IRIS_PROFILE", metavar="DIR", help="Folder of this device.")
]
Password = Annotated[
    str | None, typer.Option("--password", envvar="IRIS_PASSWORD", metavar="PW", help="Asked for when not given.")
]
Ca = Annotated[
    Path | None,
    typer.Option("--ca", envvar="IRIS_CA", metavar="FILE", help="PEM file of a private certificate authority."),
]
Invite = Annotated[str | None, typer.Option("--invite", metavar="CODE", help="Where registration needs an invite.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings file; ./iris.toml when there is one.")
]
DataFlag = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Data folder; made when missing.  [iris-data]")
]
ListenFlag = Annotated[
    list[str] | None,
    typer.Option("--listen", metavar="HOST:PORT", help="May be repeated; port 0 chooses.  [127.0.0.1:8460]"),
]
SetFlag = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any setting, such as limits.contacts_max=100; may be repeated."),
]
Acme = Annotated[
    list[str] | None,
    typer.Option(
        "--acme",
        metavar="NAME",
        help="Get a certificate for this host name from Let's Encrypt, whose terms you take; may be repeated.",
    ),
]
AcmeEmail = Annotated[str | None, typer.Option("--acme-email", metavar="ADDRESS", help="Where it may write to.")]
AcmeDirectory = Annotated[
    str | None, typer.Option("--acme-directory", metavar="URL", help="Another authority that speaks ACME.")
]
