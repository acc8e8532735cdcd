"""Draws the chart of the README."""

from html import escape

LEFT, WIDTH, BAR, GAP, LIMIT = 220, 700, 22, 10, 2.4
SCALE = (WIDTH - LEFT - 120) / LIMIT
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.other { fill: #8c959f } .ours { fill: #0a7f73 }
.line { stroke: #1f2328; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .other { fill: #6e7681 } .ours { fill: #3fb8a9 }
  .line { stroke: #e6edf3 }
}
"""


def draw(ratios: dict[str, float]) -> str:
    """Return an SVG with a bar for each contestant: its CPU time, bare FastAPI being 1."""
    bars = [
        draw_bar(name, ratio, 44 + number * (BAR + GAP))
        for number, (name, ratio) in enumerate(ratios.items())
    ]
    height = 44 + len(ratios) * (BAR + GAP) + 8
    one = LEFT + SCALE
    title = "CPU time of a request with a key, in process; bare FastAPI is 1.00"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            f'<text x="{LEFT}" y="22" font-weight="600">{title}</text>',
            *bars,
            f'<line class="line" x1="{one:.1f}" x2="{one:.1f}" y1="34" y2="{height - 6}"/>',
            "</svg>",
            "",
        ]
    )


def draw_bar(name: str, ratio: float, top: int) -> str:
    """Return the bar of a contestant, with its name to the left and its figure to the right."""
    length = min(ratio, LIMIT) * SCALE
    kind = "ours" if name.startswith("ours") else "other"
    label = f"{ratio:.2f}" if ratio < 100 else f"{ratio:,.0f}".replace(",", " ")
    middle = top + BAR - 6
    end = f'x="{LEFT + length + 6:.1f}" y="{middle}"'
    box = f'x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="3"'
    return "\n".join(
        [
            f'<text x="{LEFT - 10}" y="{middle}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" {box}/>',
            f"<text {end}>{label}{' (cut off)' if ratio > LIMIT else ''}</text>",
        ]
    )
