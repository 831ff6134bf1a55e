# SPDX-License-Identifier: MIT
"""The shop as a process of its own: web server, worker, and a log of everything."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
import threading
from pathlib import Path

from werkzeug.serving import make_server

from frappe_enroll_sdk import EnrollSDK


def main(task):
    """Serve until the process is ended."""
    logging.basicConfig(level="DEBUG", filename=task["log"], format=_FORMAT)
    logging.setLogRecordFactory(_with_everything)
    sys.path.insert(0, task["tests"])
    from support.victim import settings_of  # noqa: PLC0415  after the path

    sdk = EnrollSDK(settings_of(task["urls"], task["database"], **task["settings"]))
    sdk.setup()
    app = _shop(task["shop"]).create_app(sdk, SECRET_KEY=task["secret"])
    server = make_server("127.0.0.1", task["port"], app, threaded=True)
    threading.Thread(target=sdk.worker(2, poll_s=0.1).run, daemon=True).start()
    print("ready", flush=True)  # noqa: T201  the test waits for it
    server.serve_forever()


_FORMAT = "%(levelname)s %(name)s %(message)s %(everything)s"
_PLAIN = logging.getLogRecordFactory()
_KNOWN = set(vars(_PLAIN("", 0, "", 0, "", (), None)))


class _Extra:
    """All extra fields of a record, as a JSON formatter would write them."""

    def __init__(self, record) -> None:
        self.record = record

    def __str__(self) -> str:
        extra = {k: v for k, v in vars(self.record).items() if k not in _KNOWN}
        extra.pop("everything", None)
        return repr(extra)


def _with_everything(*args, **kwargs):
    record = _PLAIN(*args, **kwargs)
    record.everything = _Extra(record)
    return record


def _shop(path):
    spec = importlib.util.spec_from_file_location("shop", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["shop"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
