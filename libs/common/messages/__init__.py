"""Every message on the bus: one file per owner, each class stating its subject, version and promise.

Importing this package registers all of them (`base.COMMANDS`, `QUERIES`, `FACTS`, `TICKS`).
"""

from libs.common.messages import accounts, forensics, gateway, monitor, orders, pricing, safety, signals

__all__ = ["accounts", "forensics", "gateway", "monitor", "orders", "pricing", "safety", "signals"]
