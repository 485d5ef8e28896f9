"""The portal command as a module that can be run: `python -m benchmarks.commands serve`."""

from portal.cli import main

if __name__ == "__main__":
    main(prog_name="portal")
