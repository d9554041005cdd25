"""``python -m smalltext_cli`` is the `smalltext` command."""

from smalltext_cli.app import main

main()
