"""Writes the figures of a whole run into the README of the template."""

from pathlib import Path

from report import SHOWN, Summary, digits, markdown_table

BEGIN = "<!-- figures of make bench -->"
END = "<!-- end of figures -->"


def figures(summed: dict[str, dict[str, dict[str, Summary]]]) -> str:
    """Return the table of the README: the main ratios, without their spread."""
    cpu, served = summed["CPU in process"], summed["Over a socket"]["requests/s"]
    shipped = summed.get("As shipped", {}).get("requests/s", {})
    columns = [cpu["key"], cpu["keyless"], cpu["upload"], served, shipped]
    heads = ["bare FastAPI is 1.00", "CPU: with a key", "CPU: refused"]
    heads += ["CPU: refused, with 1 MiB of JSON", "requests/s", "requests/s, both with logs"]

    def ratio(column: dict[str, Summary], name: str) -> str:
        return digits(column[name]["ratio"]) if name in column else "-"

    lines = [[name, *(ratio(column, name) for column in columns)] for name in SHOWN]
    return markdown_table(heads, lines)


def write_readme(readme: Path, table: str) -> None:
    """Put the table into the README, in place of the one between its marks."""
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    text = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    readme.write_text(text, encoding="utf-8")
