"""`python -m annotate.gateway --home DIR --host 127.0.0.1 --port N`: the gateway of the board in a folder.

Secrets come from the folder or the environment (`BoardHome.secrets`), never from the command line. Label Studio is
asked with the folder's personal token. Ends by itself on SIGTERM, with what is under way answered.
"""

import argparse
import logging
from pathlib import Path

import uvicorn

from annotate.gateway.app import application
from annotate.home import BoardHome
from annotate.labelstudio import LabelStudioBoard


def main() -> None:
    told = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    home = BoardHome(told.home)
    connection = home.connection()
    board = LabelStudioBoard(connection.label_studio, home.secrets().personal_token, connection.project, patience_s=5.0)
    app = application(home, board, is_behind_proxy=told.behind_proxy)
    uvicorn.run(
        app,
        host=told.host,
        port=told.port,
        proxy_headers=False,
        server_header=False,
        access_log=False,  # media links stand in it
        log_level="info",
        timeout_graceful_shutdown=10,
        ws="none",
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="annotate.gateway", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the board's folder")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--behind-proxy", action="store_true", help="believe the last X-Forwarded-For: a front sets it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
