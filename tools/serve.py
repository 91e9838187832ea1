"""Search a gallery in the browser: pick or upload a query, look through the answers, mark them as right or wrong.

The page is for this machine only, unless --host names another address; then a token is needed. Marks are kept in
GALLERY.marks.jsonl. Needs the extras "gallery" (or "milvus") and "serve": pip install "dscreid[gallery,serve]".

Examples:
    dscreid serve --gallery galleries/mine --bundle bundles/mine
    DSCREID_TOKEN=... dscreid serve --gallery galleries/mine --bundle bundles/mine --host 0.0.0.0 --port 8443
"""

import argparse
import os
import socket
from pathlib import Path

from dscreid.apis.command_line import add_inference_options, make_parser, run_command
from dscreid.deployment.gallery_filters import add_gallery


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__)
    add_gallery(parser)
    parser.add_argument(
        '--bundle', required=True, metavar='B', help="the gallery's model: a bundle, or a file of dscreid export"
    )
    parser.add_argument(
        '--marks', type=Path, metavar='FILE',
        help='where marks are kept (default: GALLERY.marks.jsonl next to its folder; for a gallery on a server, '
        'HOST-PORT-NAME.marks.jsonl in the current folder)',
    )  # fmt: skip
    parser.add_argument('--host', default='127.0.0.1', help='address to listen on (default: 127.0.0.1, this machine)')
    parser.add_argument('--port', type=_port, default=8000, help='port to listen on (default: 8000)')
    parser.add_argument(
        '--token', metavar='TOKEN',
        help='token that users must give; other users of this machine can see it here, so better set DSCREID_TOKEN',
    )  # fmt: skip
    add_inference_options(parser)
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f'must lie between 1 and 65535, got {port}')
    return port


def serve(args: argparse.Namespace) -> None:
    """Check everything, then answer requests until interrupted."""
    from dscreid.deployment import TrackletInferencer, open_gallery
    from dscreid.errors import ConfigError

    try:
        import uvicorn

        from dscreid.deployment.web.app import make_app
        from dscreid.deployment.web.guard import check_access
    except ImportError as error:
        raise ConfigError(f'the page needs {error.name}; pip install "dscreid[gallery,serve]"') from None
    token = os.environ.pop('DSCREID_TOKEN', '') if args.token is None else args.token
    check_access(args.host, token or None)
    inferencer = TrackletInferencer(args.bundle, args.device, args.batch_size, args.workers)
    gallery = open_gallery(args.gallery, inferencer.bundle)
    app = make_app(gallery, inferencer, token or None, args.marks)
    listening = _listen(args.host, args.port)
    host = f'[{args.host}]' if ':' in args.host else args.host
    print(f'{args.gallery}: {len(gallery):,} tracklets at http://{host}:{args.port} (Ctrl-C ends)', flush=True)
    # requests are not logged: they name persons' tracklets
    settings = uvicorn.Config(
        app, log_level='warning', access_log=False, server_header=False, limit_concurrency=64,
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    uvicorn.Server(settings).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    from dscreid.errors import ConfigError

    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=64)
    except OSError as error:
        reason = str(error.strerror or error).partition(' (while')[0]
        raise ConfigError(f'cannot listen on {host}, port {port} ({reason}); choose another --host or --port') from None


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    run_command(lambda: serve(args), on_interrupt='the server has stopped; marks are kept')


if __name__ == '__main__':
    main()
