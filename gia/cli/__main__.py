"""``python -m gia.cli`` is the command ``gia``."""

from gia.cli import main

main()
