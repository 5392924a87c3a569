"""`python -m atoll` is the `atoll` command."""

from atoll.cli.main import main

main()
