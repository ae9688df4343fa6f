"""`python -m flows` is the command line too, where no console script is installed."""

from flows.cli import main

main()
