"""Run the `smalltext` command as ``python -m smalltext_cli``."""

from smalltext_cli.app import main

main()
