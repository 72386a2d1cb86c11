"""Start the simulator: `python -m simulator --port 0 --data DIR`."""

from simulator.app import run
from simulator.settings import read_settings

if __name__ == "__main__":
    run(read_settings())
