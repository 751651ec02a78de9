"""Segments the salient objects of photos: python run_pipeline.py --runner=DirectRunner."""

import sys

from pipeline.command.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
