"""One process of orders."""

from libs.common.service import run
from services.orders.service import build

if __name__ == "__main__":
    run(build)
