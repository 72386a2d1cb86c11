"""Start the simulator: `python -m simulator --port 0 --data DIR`."""

import sys

from simulator.app import run
from simulator.journal import JournalTaken
from simulator.settings import read_settings

if __name__ == "__main__":
    try:
        run(read_settings())
    except JournalTaken as error:
        sys.exit(f"simulator: {error}")
