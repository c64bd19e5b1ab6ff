"""``python -m ecotf`` is the command ``ecotf``."""

from ecotf.commands.main import run

if __name__ == "__main__":  # the workers of a search load this file, too
    run()
