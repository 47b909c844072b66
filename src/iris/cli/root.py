"""The tree of commands: names, options and help. What a command does is in its own module, imported when it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from iris.cli.errors import CliError, show
from iris.cli.groups import config_app, keys_app, store_app
from iris.cli.options import (
    Acme,
    AcmeDirectory,
    AcmeEmail,
    Ca,
    Config,
    Data,
    DataFlag,
    Invite,
    Json,
    ListenFlag,
    Password,
    Profile,
    Server,
    SetFlag,
)


class Sections(TyperGroup):
    """Lists the commands under headings, as plain text: drawing boxes would double the time that help takes."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each panel, in the order of its first command."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            said = (command.help or "").strip().partition("\n")[0]
            sections.setdefault(getattr(command, "rich_help_panel", None) or "Commands", []).append((name, said))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


app = typer.Typer(
    name="iris",
    cls=Sections,
    rich_markup_mode=None,
    help="Iris, the messaging server: what is accepted is never lost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
user_app = typer.Typer(rich_markup_mode=None, help="Make accounts.", no_args_is_help=True)
invite_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)

SERVING, TALKING, OPERATING = "Run a server", "Talk", "Look after a server"


def _show_version(wanted: bool) -> None:
    if wanted:
        from iris import __version__

        print(f"iris {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """What is common to all commands."""


@app.command(rich_help_panel=SERVING)
def serve(
    config: Config = None,
    data: DataFlag = None,
    listen: ListenFlag = None,
    admin: Annotated[
        str | None,
        typer.Option(
            "--admin", metavar="HOST:PORT", help="Loopback port of /metrics, /healthz, /readyz.  [one is chosen]"
        ),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", "--tls-cert", metavar="FILE", help="PEM; needed off loopback.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="PEM private key.")] = None,
    acme: Acme = None,
    acme_email: AcmeEmail = None,
    acme_directory: AcmeDirectory = None,
    tls12: Annotated[bool | None, typer.Option("--tls12", help="Accept TLS 1.2 besides 1.3.")] = None,
    engine_threads: Annotated[
        int | None, typer.Option("--engine-threads", metavar="N", help="Threads that serve sockets.")
    ] = None,
    num_shards: Annotated[
        int | None, typer.Option("--num-shards", metavar="N", help="Fixed when the store is created.")
    ] = None,
    registration: Annotated[
        str | None, typer.Option("--registration", metavar="open|invite|closed", help="Who may register.  [open]")
    ] = None,
    home_region: Annotated[
        int | None, typer.Option("--home-region", metavar="N", help="First two bytes of new user ids.")
    ] = None,
    token_lifetime_s: Annotated[
        int | None, typer.Option("--token-lifetime-s", metavar="S", help="Life of an access token, at most 86400.")
    ] = None,
    password_profile: Annotated[
        str | None, typer.Option("--password-profile", metavar="full|cheap", help="argon2id cost; cheap is for tests.")
    ] = None,
    proxy_from: Annotated[
        list[str] | None,
        typer.Option("--proxy-from", metavar="NETWORK", help="Load balancer that sends PROXY v2; may be repeated."),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
    ] = None,
    log_format: Annotated[
        str | None, typer.Option("--log-format", metavar="FORMAT", help="auto, text or json.")
    ] = None,
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="For friends elsewhere: all addresses, a certificate made into DIR/tls, registration by invite.",
        ),
    ] = False,
    set_: SetFlag = None,
) -> None:
    """Serve. Prints `iris: ready on ws://HOST:PORT` once it does; SIGTERM or Ctrl-C ends it cleanly."""
    from iris.cli.serve import serve as run_server

    flags = {name: value for name, value in locals().items() if name not in ("config", "set_", "public", "run_server")}
    raise typer.Exit(run_server(config, flags, set_ or [], public))


@app.command(rich_help_panel=SERVING)
def up(
    config: Config = None,
    data: DataFlag = None,
    listen: ListenFlag = None,
    sample: Annotated[Path, typer.Option("--sample", metavar="FILE", help="What the sample users say.")] = Path(
        "examples/hello.txt"
    ),
    set_: SetFlag = None,
) -> None:
    """Serve on this machine, let two sample users talk, and show how to join them."""
    from iris.cli.up import up as run_up

    raise typer.Exit(run_up(config, {"data": data, "listen": listen}, set_ or [], sample))


@app.command(rich_help_panel=SERVING)
def demo(
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Data folder.  [iris-demo]")] = None,
    listen: ListenFlag = None,
    pace: Annotated[
        float, typer.Option("--pace", metavar="X", min=0.01, max=100, help="2: everything takes twice as long.")
    ] = 1.0,
    browser: Annotated[bool, typer.Option(help="Open the web client where there is a desktop.")] = True,
    set_: SetFlag = None,
) -> None:
    """Serve on this machine with a community of bots, so that you see every state at once."""
    from iris.cli.demo import demo as run_demo

    raise typer.Exit(run_demo({"data": data, "listen": listen}, set_ or [], pace, browser))


@user_app.command("add")
def user_add(
    handle: Annotated[str, typer.Argument(metavar="HANDLE", help="3 to 32 of a-z, 0-9, dot and underscore.")],
    server: Server,
    password: Password = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Shown to others; the handle when not given.")
    ] = None,
    invite: Invite = None,
    ca: Ca = None,
) -> None:
    """Register an account."""
    from iris.cli.accounts import add_user

    raise typer.Exit(add_user(server, handle, password, name=name, invite=invite, ca=ca))


@app.command(rich_help_panel=TALKING)
def login(
    handle: Annotated[str, typer.Argument(metavar="HANDLE")],
    server: Server,
    profile: Profile,
    password: Password = None,
    code: Annotated[
        str | None, typer.Option("--code", metavar="XXXX-XXXX", help="A link code, in place of the password.")
    ] = None,
    device_name: Annotated[
        str | None, typer.Option("--device-name", metavar="NAME", help="Shown in the list of devices.")
    ] = None,
    ca: Ca = None,
) -> None:
    """Log in: make a folder one of the user's devices."""
    from iris.cli.accounts import log_in

    raise typer.Exit(log_in(server, handle, password, profile, code=code, device_name=device_name, ca=ca))


@app.command(rich_help_panel=TALKING)
def send(
    profile: Profile,
    to: Annotated[str, typer.Option("--to", metavar="HANDLE", help="Who it is for.")],
    text: Annotated[str | None, typer.Argument(metavar="TEXT")] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="One message for each line of standard input.")] = False,
    wait: Annotated[
        str, typer.Option("--wait", metavar="accepted|delivered|read", help="What to wait for.")
    ] = "accepted",
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", min=0, help="Seconds to wait for each answer.")
    ] = 30.0,
) -> None:
    """Send messages; prints a JSON line for each, in order.

    Exit 0: all accepted (or what --wait asks). 75: some are still queued or have not come that far; they stay in the
    outbox and go out with whatever uses the profile next. 1: some were rejected.
    """
    from iris.cli.send import send as run_send

    if (text is None) is not stdin:
        raise typer.BadParameter("give TEXT, or --stdin for one message a line")
    if wait not in ("accepted", "delivered", "read"):
        raise typer.BadParameter("--wait is accepted, delivered or read")
    raise typer.Exit(run_send(profile, to, text, wait, timeout))


@app.command(rich_help_panel=TALKING)
def tail(
    profile: Profile,
    json: Json = False,
    count: Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="End after N messages.")] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", metavar="S", min=0, help="End after S seconds.")] = None,
    after: Annotated[
        int | None, typer.Option("--after", metavar="N", min=0, help="Print again what follows local number N.")
    ] = None,
    read: Annotated[bool, typer.Option("--read", help="Mark as read what is printed.")] = False,
) -> None:
    """Print what happens: messages, receipts, presence, typing, copies from other devices.

    Starts after what an earlier tail has printed. Exit 1 when --timeout comes before --count messages.
    """
    from iris.cli.tail import tail as run_tail

    raise typer.Exit(run_tail(profile, json, count, timeout, after, read))


@app.command(rich_help_panel=TALKING)
def chat(
    peer: Annotated[
        str | None, typer.Argument(metavar="[@HANDLE]", help="Whom to talk to; or an iris:// line.")
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            "--profile", envvar="IRIS_PROFILE", metavar="DIR", help="Folder of this device.  [iris-data/profiles/NAME]"
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            "--server",
            envvar="IRIS_SERVER",
            metavar="URL",
            help="Needed the first time: an address or an iris:// line.",
        ),
    ] = None,
    as_: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Who you are; registers or logs in when needed.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="HANDLE", help="The same as [@HANDLE].")] = None,
    password: Password = None,
    invite: Invite = None,
    ca: Ca = None,
    link: Annotated[
        str | None,
        typer.Option("--link", metavar="LINE", help="What `iris devices --link` shows: be one more device of it."),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="A line at a time, as without a terminal.")] = False,
) -> None:
    """Chat, full-screen on a terminal. The keys are shown at the bottom.

    Without a terminal, and with --plain, a line at a time: /help shows what can be typed.
    """
    from iris.cli.chat import chat as run_chat
    from iris.cli.invitation import is_invitation

    if is_invitation(peer):
        server, peer = peer, None
    raise typer.Exit(run_chat(profile, server, as_, to or peer, password, invite, ca, plain, link))


@app.command(rich_help_panel=TALKING)
def join(
    line: Annotated[str, typer.Argument(metavar="LINE", help="What `iris invite` printed: iris://…")],
    as_: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Who you want to be there.", prompt="Your name there")
    ],
    profile: Annotated[
        Path | None,
        typer.Option("--profile", metavar="DIR", help="Folder of this device.  [iris-data/profiles/NAME]"),
    ] = None,
    password: Password = None,
) -> None:
    """Take an invitation: register, make this machine a device, and remember the server's certificate."""
    from iris.cli.accounts import join_line

    raise typer.Exit(join_line(line, as_, profile, password))


@app.command(rich_help_panel=TALKING)
def devices(
    profile: Profile,
    json: Json = False,
    unlink: Annotated[int | None, typer.Option("--unlink", metavar="NUMBER", help="Log this device out.")] = None,
    link: Annotated[bool, typer.Option("--link", help="Show a code that lets one new device in.")] = False,
) -> None:
    """List your devices, log one out, or let a new one in."""
    from iris.cli.accounts import devices as run_devices

    if link and unlink is not None:
        raise typer.BadParameter("give --link or --unlink, not both")
    raise typer.Exit(run_devices(profile, json, unlink, link))


@invite_app.callback()
def invite(
    context: typer.Context,
    data: Data = Path("iris-data"),
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="HOST[:PORT]", help="As your friend reaches you.  [this machine's]"),
    ] = None,
    json: Json = False,
) -> None:
    """Print a line that brings one person in: address, certificate, one-time code. The server must be running.

    Your friend runs: iris join LINE
    """
    from iris.cli.public import invite as run

    if context.invoked_subcommand is None:
        raise typer.Exit(run(data, address, json))


@invite_app.command("create")
def invite_create(
    data: Data = Path("iris-data"),
    uses: Annotated[
        int, typer.Option("--uses", metavar="N", min=1, max=100_000, help="How many may register with it.")
    ] = 1,
    json: Json = False,
) -> None:
    """Make an invite and print its bare code. The server must be running."""
    from iris.cli.operate import invite_create as run

    raise typer.Exit(run(data, uses, json))


@app.command(rich_help_panel=OPERATING)
def trace(
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE_ID")], data: Data = Path("iris-data"), json: Json = False
) -> None:
    """Show where a message was and when. The server must be running."""
    from iris.cli.operate import trace as run

    raise typer.Exit(run(data, message_id, json))


@app.command(
    rich_help_panel=OPERATING,
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def bench(context: typer.Context) -> None:
    """Measure a server: iris bench all | pairs | floor | idle | login | catch-up | storm [--json]."""
    try:
        from iris.bench.cli import main
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("iris.bench"):
            raise
        raise CliError("this build has no benchmarks", "install Iris from a source checkout") from None
    raise typer.Exit(main(list(context.args)))


@app.command(rich_help_panel=OPERATING)
def capacity(
    dau: Annotated[
        int | None,
        typer.Option("--dau", metavar="N", min=1, max=20_000_000_000, help="Daily users.  [the plan's four phases]"),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option("--region", metavar="NAME[=PERCENT]", help="Of the price table; may be repeated.  [the first]"),
    ] = None,
    prices: Annotated[Path | None, typer.Option("--prices", metavar="FILE", help="Your price table (TOML).")] = None,
    bench: Annotated[
        Path | None, typer.Option("--bench", metavar="FILE", help="Costs from your own iris bench --json.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Another figure; may be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """Count the nodes, disks and dollars that so many users take. See docs/capacity.md."""
    from iris.cli.capacity import capacity as run

    raise typer.Exit(run(dau, region or [], prices, bench, set_ or [], json))


@app.command(
    rich_help_panel=OPERATING,
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def torture(context: typer.Context) -> None:
    """Try to make a server break its promises: iris torture URL [--minutes M]."""
    from iris_torture.cli import main

    raise typer.Exit(main(list(context.args), "iris torture"))


@app.command(rich_help_panel=OPERATING)
def sim(
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="How many.")] = 200,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="The first one.")] = 0,
    faults: Annotated[
        str | None, typer.Option("--faults", metavar="A,B", help="Only these kinds; “none” for none.  [all]")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", metavar="J", min=1, help="Processes.")] = os.cpu_count() or 1,
    failures: Annotated[int, typer.Option("--failures", metavar="N", min=1, help="Stop after so many.")] = 1,
    steps: Annotated[
        str | None, typer.Option("--steps", metavar="1,2", help="One seed, only these steps; “none” for none.")
    ] = None,
    trace: Annotated[bool, typer.Option("--trace", help="One seed, with everything that happens.")] = False,
    shrink: Annotated[bool, typer.Option(help="Look for the least that still fails.")] = True,
) -> None:
    """Hunt for broken promises in simulated clusters: seeds, faults, virtual time."""
    from iris_sim.command import run

    try:
        code = run(seeds, seed, faults, jobs, trace=trace, steps=steps, shrink=shrink, failures=failures)
    except ValueError as error:
        raise CliError(str(error), "iris sim --help") from None
    raise typer.Exit(code)


app.add_typer(user_app, name="user", rich_help_panel=TALKING)
app.add_typer(store_app, name="store", rich_help_panel=OPERATING)
app.add_typer(config_app, name="config", rich_help_panel=OPERATING)
app.add_typer(keys_app, name="keys", rich_help_panel=OPERATING)
app.add_typer(invite_app, name="invite", rich_help_panel=OPERATING)


def run(args: list[str], **extra: Any) -> int:
    """Run one command line; returns its exit code: 0 done, 1 failed, 2 wrong usage, 75 queued, 130 interrupted."""
    try:
        app(args, prog_name="iris", **extra)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except CliError as error:
        show(error)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the last flush would complain
        return 1
    return 0
