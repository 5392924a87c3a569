"""The command line. `main` is what the `atoll` command runs."""
