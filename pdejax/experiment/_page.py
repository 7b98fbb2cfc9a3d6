"""Plain HTML building blocks and the style sheet of the reports."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --ink: #1c2430; --muted: #5b6675; --rule: #dfe3e8; --accent: #2563a8;
  --series-1: #2563a8; --series-2: #c2571a; --series-3: #2e8b57; --series-4: #7b4ea3; --series-5: #a33b5b; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14181d; --card: #1b2027; --ink: #e6e9ed; --muted: #9aa5b3; --rule: #313944; --accent: #7fb2ea;
  --series-1: #7fb2ea; --series-2: #f0a06a; --series-3: #74c69a; --series-4: #bd9be0; --series-5: #e58aa5; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
header p { margin: .2rem 0; color: var(--muted); }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .8rem; padding-bottom: .3rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.6rem 0 .5rem; }
p { max-width: 46rem; }
a { color: var(--accent); }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr));
  gap: .75rem; margin: 1.4rem 0 0; padding: 0; }
.numbers div { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: .7rem .9rem; }
.numbers dt { color: var(--muted); font-size: .82rem; line-height: 1.3; }
.numbers dd { margin: .15rem 0 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; line-height: 1.25; }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--rule); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { text-align: left; padding: .45rem .8rem; border-bottom: 1px solid var(--rule);
  white-space: nowrap; vertical-align: top; }
tr:last-child td, tr:last-child th { border-bottom: 0; }
thead th { color: var(--muted); font-weight: 600; font-size: .82rem; }
tbody th { font-weight: 500; }
td.n, th.n { text-align: right; }
td.text { white-space: normal; overflow-wrap: anywhere; min-width: 9rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: .6rem .6rem .7rem; min-width: 0; }
figcaption { color: var(--muted); font-size: .85rem; line-height: 1.45; padding: .35rem .3rem 0; }
.plot { display: block; width: 100%; height: auto; margin: 0 auto; }
.plot text { font-family: inherit; }
.plot image { image-rendering: pixelated; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 1rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 160px), 1fr)); gap: .5rem; }
.panels + .panels { margin-top: .5rem; }
figure.sample { margin-top: 1rem; }
pre { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: .8rem 1rem; overflow-x: auto;
  font: .84rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; margin: .6rem 0; }
details { margin: .8rem 0; } summary { cursor: pointer; font-weight: 500; }
summary:focus-visible, a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
footer { margin-top: 3rem; color: var(--muted); font-size: .85rem; }
@media (max-width: 480px) { main { padding: 1.25rem .8rem 3rem; } h1 { font-size: 1.4rem; }
  .numbers { grid-template-columns: 1fr 1fr; gap: .5rem; }
  .numbers dd { font-size: 1.1rem; } .numbers div { padding: .55rem .65rem; } th, td { padding: .4rem .55rem; } }
@media print { body { background: white; } figure, .wide, pre { break-inside: avoid; } }
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole document that needs nothing but itself."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>{STYLE}</style>\n'
        "</head>\n<body>\n<main>\n" + "\n".join(body) + "\n</main>\n</body>\n</html>\n"
    )


def numbers(items: Mapping[str, str]) -> str:
    """The headline figures as a row of cards."""
    cards = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in items.items())
    return f'<dl class="numbers">{cards}</dl>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: bool = True) -> str:
    """A table whose first column names the row; the others are numbers, right-aligned, unless `numeric` is false."""
    mark = "n" if numeric else "text"
    top = "".join(f'<th scope="col"{f" class={mark}" if i else ""}>{escape(cell)}</th>' for i, cell in enumerate(head))
    lines = ""
    for row in rows:
        cells = "".join(f"<td class={mark}>{escape(cell)}</td>" for cell in row[1:])
        lines += f'<tr><th scope="row">{escape(row[0])}</th>{cells}</tr>'
    thead = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    return f'<div class="wide" tabindex="0"><table>{thead}<tbody>{lines}</tbody></table></div>'


def figure(svg: str, caption: str) -> str:
    """A plot and the sentence that says what one sees."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def panels(rows: Iterable[Sequence[str]], caption: str) -> str:
    """Rows of small plots under one caption."""
    inner = "".join('<div class="panels">' + "".join(f"<div>{svg}</div>" for svg in row) + "</div>" for row in rows)
    return f'<figure class="sample">{inner}<figcaption>{escape(caption)}</figcaption></figure>'


def details(title: str, text: str) -> str:
    """Preformatted text that opens on demand."""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def code(text: str) -> str:
    """A command to copy."""
    return f"<pre>{escape(text)}</pre>"
