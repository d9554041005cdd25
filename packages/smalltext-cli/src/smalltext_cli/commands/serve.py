"""``smalltext serve``: a saved model behind HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from smalltext_cli import commands
from smalltext_cli.console import (
    UsageError,
    no_progress_bars,
    print_line,
    print_message,
    set_verbosity,
    warn,
    working,
)

_LIMITS_PANEL = "Limits"
_API_KEY_VARIABLE = "SMALLTEXT_API_KEY"


def serve(
    model: commands.ModelFolder,
    *,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="The address to listen on; 0.0.0.0 means all addresses of this machine."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="The port; 0 picks a free one.")] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            envvar=_API_KEY_VARIABLE,
            help="The key that requests must send as Authorization: Bearer KEY or as password. Prefer the "
            "environment variable: other users can see arguments.",
            show_default=False,
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A host name that requests may use for this service. If ADDRESS is local, those of this machine "
            "are allowed, too; if it is not, any is allowed by default. Repeat for several.",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="The maximum number of texts of concurrent requests to predict together."
        ),
    ] = 64,
    batch_wait: Annotated[
        float,
        typer.Option(metavar="MS", min=0, max=1000, help="How long an incomplete batch waits for more texts."),
    ] = 0,
    max_body_bytes: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="The maximum size of a request in bytes.", rich_help_panel=_LIMITS_PANEL
        ),
    ] = 2_000_000,
    max_texts: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="The maximum number of texts in a request.", rich_help_panel=_LIMITS_PANEL
        ),
    ] = 1_000,
    max_text_length: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="The maximum number of characters of a text.", rich_help_panel=_LIMITS_PANEL
        ),
    ] = 100_000,
    max_requests: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="The maximum number of concurrent requests; further ones are rejected.",
            rich_help_panel=_LIMITS_PANEL,
        ),
    ] = 256,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.001,
            max=86_400,
            help="The time limit for receiving a body, for a prediction, and for shutting down after SIGTERM.",
            rich_help_panel=_LIMITS_PANEL,
        ),
    ] = 30,
    trust: commands.Trust = None,
    device: commands.Device = None,
    quiet: commands.Quiet = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", metavar="", help="Also log the path, status and duration of each request."
        ),
    ] = False,
) -> None:
    """Serve a trained model over HTTP.

    POST /predict takes JSON such as {"texts": ["..."]} and returns labels and scores; with "proba": true also the
    probability of each class. The service can also be used as an ML backend of Label Studio. GET /health, /metrics
    (Prometheus), /model and /openapi.json describe the service.

    Texts of concurrent requests are predicted in one batch. The model is loaded once: restart the service after
    retraining. On SIGTERM, accepted requests are finished. Texts are not logged; --verbose logs the path, status
    and duration of each request.

    Examples
    --------
        smalltext serve model

        smalltext serve model --host 0.0.0.0 --port 80 --allowed-host texts.example.org
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    if api_key is not None and not api_key.strip():
        raise UsageError(f"--api-key, or {_API_KEY_VARIABLE}, is empty. Give a key, or leave it out.")
    try:
        from smalltext_cli.serving import access, app, bodies, server
    except ModuleNotFoundError as error:
        raise UsageError(
            f"smalltext serve needs {error.name}. Install the extra serve of smalltext-cli, or: "
            "pip install starlette uvicorn"
        ) from error
    from smalltext_cli.evaluation import load_model

    limits = bodies.Limits(max_body_bytes, max_texts, max_text_length, max_requests, timeout)
    with server.listening_socket(host, port) as listener:
        with working(f"Loading {model} ..."):
            loaded = load_model(model, trusted=trust, device=device)
        is_local = access.is_loopback(listener.getsockname()[0])
        hosts = list(allowed_host or ())
        if is_local:
            hosts += [*access.LOOPBACK_NAMES, host]
        service = app.create_app(
            loaded,
            limits=limits,
            batch_size=batch_size,
            max_wait=batch_wait / 1000,
            allowed_hosts=hosts,
            api_key=api_key,
        )
        if not is_local:
            who = "whoever has the API key" if api_key else "anybody who reaches it"
            warn(
                f"{host} is not local to this machine: {who} can use the model. Requests are not encrypted; put a "
                f"proxy with TLS in front.{'' if api_key else f' Set {_API_KEY_VARIABLE} to require a key.'}"
            )
        print_message(f"Serving {loaded.manifest.classifier}, {len(loaded.names):,} classes. Ctrl-C ends it.")
        print_line(server.url_of(listener))
        with no_progress_bars():
            server.run(service, listener, seconds=timeout)
    print_message("Ended.")
    server.leave_batch()
