"""Asks the service in this container whether it is ready; the exit code is the answer.

Raises: URLError, which ends it with code 1, when nobody answers or the answer is not 200.
"""

from __future__ import annotations

import os
import urllib.request

if __name__ == "__main__":
    port = os.environ.get("HTTP_PORT") or os.environ["SIMULATOR_PORT"]
    # Nothing between us and ourselves, whatever proxy the environment names.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    direct.open(f"http://127.0.0.1:{port}/readyz", timeout=3)
