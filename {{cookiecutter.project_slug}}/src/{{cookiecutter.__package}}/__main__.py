"""Runs the program: `python -m {{ cookiecutter.__package }} --help`."""

from .cli import main

main()
