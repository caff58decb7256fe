"""CSS and script of all pages: system fonts, light and dark mode, narrow screens; sorting and filtering."""

CSS = """
:root { color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --ink: #1d1f23; --soft: #5f646d; --line: #e2e2de;
  --accent: #3566b8; --sub: #8a4b00; --sub-bg: #fdf0dc; --ins: #5f3594; --ins-bg: #f1e9fa;
  --del: #a8201a; --del-bg: #fce8e6; }
@media (prefers-color-scheme: dark) { :root {
  --page: #16171a; --card: #1e2024; --ink: #e6e6e3; --soft: #a3a8b1; --line: #34373d;
  --accent: #86aef0; --sub: #f0b765; --sub-bg: #3a2c14; --ins: #c9a8f2; --ins-bg: #2e2440;
  --del: #f2a19b; --del-bg: #401f1c; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; outline: none; }
h1 { font-size: 1.7rem; line-height: 1.2; font-weight: 650; letter-spacing: -.015em; margin: 0 0 .6rem; }
h2 { font-size: 1.15rem; font-weight: 650; margin: 2.8rem 0 .6rem; }
h3 { font-size: .95rem; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
p { margin: .3rem 0; overflow-wrap: anywhere; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .5rem; padding: .4rem .8rem; background: var(--card); z-index: 1; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: 0 0 1.2rem; list-style: none;
  font-size: .9rem; }
nav a { display: inline-block; padding: .2rem 0; }
.soft { color: var(--soft); font-size: .875rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; font-size: .95rem; padding: 1rem 0 .3rem; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .8rem; vertical-align: bottom; }
th, td { padding: .42rem 1rem .42rem 0; border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer;
  text-decoration: underline dotted; text-underline-offset: 3px; }
.num { text-align: right; white-space: nowrap; }
.wide .num { white-space: normal; } .num .soft { white-space: nowrap; }
.wide th, .wide td { padding-right: .6rem; }
td.name { overflow-wrap: anywhere; }
td.bar { width: 22%; min-width: 5rem; } .wide td.bar { width: 12%; }
div.bar { position: relative; width: 100%; height: 1rem; }
div.bar::before { content: ""; position: absolute; inset: calc(50% - .5px) 0 auto 0; height: 1px;
  background: var(--line); }
div.bar i { position: absolute; top: calc(50% - 3px); height: 6px; border-radius: 3px; min-width: 2px;
  background: var(--accent); opacity: .35; }
div.bar b { position: absolute; top: calc(50% - 5px); width: 10px; height: 10px; margin-left: -5px;
  border-radius: 50%; background: var(--accent); }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) minmax(0, 1fr); gap: .3rem 1.5rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 0 3rem; }
.legend { margin-bottom: .8rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1rem 1.2rem 1.1rem; margin: 0 0 1rem; }
article header { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1.5rem;
  align-items: baseline; margin-bottom: .5rem; overflow-wrap: anywhere; }
.pairs { display: flex; flex-wrap: wrap; gap: .6rem .3rem; }
.pairs > span { display: inline-flex; flex-direction: column; text-align: center; line-height: 1.6em; }
.pairs > span > * { padding: 0 .3em; border-radius: 4px; min-height: 1.6em; overflow-wrap: anywhere; }
.pairs > .rows { text-align: left; color: var(--soft); padding-right: .4rem; }
.pairs > .rows > * { padding: 0; font-size: .8rem; line-height: 2em; min-height: 2em; }
.substitute, ins, del { padding: .05rem .4rem; border-radius: 4px; }
.substitute { color: var(--sub); background: var(--sub-bg); font-weight: 600; }
ins { color: var(--ins); background: var(--ins-bg); text-decoration: underline; text-underline-offset: 3px; }
del { color: var(--del); background: var(--del-bg); text-decoration: line-through; }
audio { display: block; width: 100%; max-width: 26rem; height: 2.4rem; margin-top: .9rem; }
details { margin-top: .7rem; }
summary { cursor: pointer; color: var(--accent); font-size: .875rem; padding: .25rem 0; width: fit-content; }
img { display: block; width: 100%; height: auto; margin-top: .5rem; }
figure { margin: .8rem 0 0; }
figcaption { font-size: .95rem; font-weight: 600; margin-top: .5rem; }
figcaption + details { margin-top: .2rem; }
svg { display: block; width: 100%; max-width: 30rem; height: auto; }
svg text { font-size: 11.5px; fill: var(--soft); }
svg circle { fill: var(--accent); }
svg polyline { fill: none; stroke: var(--accent); stroke-width: 1.5; opacity: .5; }
svg .ends { stroke: var(--accent); stroke-width: 5; stroke-linecap: round; opacity: .35; }
svg .axis { stroke: var(--line); }
.filter { display: block; margin: 0 0 1rem; font-size: .875rem; color: var(--soft); }
.filter input { display: block; font: inherit; font-size: 1rem; width: 100%; max-width: 26rem; padding: .4rem .6rem;
  color: var(--ink); background: var(--card); border: 1px solid var(--soft); border-radius: 6px; }
[hidden] { display: none !important; }
@media (max-width: 42rem) {
  main { padding: 1.5rem 1rem 3rem; }
  article { padding: .8rem .9rem .9rem; }
  .scroll img { width: 44rem; max-width: none; }
  summary, nav a { padding: .5rem 0; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: .5rem; }
  .wide, .wide tbody, .wide tr, .wide td { display: block; }
  .wide thead { position: absolute; left: -99rem; }
  .wide tr { border-bottom: 1px solid var(--line); padding: .6rem 0; }
  table:not(.wide) .bar { display: none; }
  .wide td { display: flex; justify-content: flex-end; gap: .4rem; border: 0; padding: .12rem 0;
    text-align: right; white-space: normal; }
  .wide td::before { content: attr(data-label); color: var(--soft); font-size: .875rem; text-align: left;
    margin-right: auto; }
  .wide td:first-child { font-weight: 650; justify-content: flex-start; }
  .wide td:first-child::before { content: none; } .wide td:empty { display: none; }
  .wide td.bar { width: 100%; display: block; padding: .3rem 0; }
}
@media print { nav, audio, .filter { display: none; } }
"""

# Optional: sortable columns, and a field that filters utterances. Pages work without it.
SCRIPT = """
for (const table of document.querySelectorAll('table:not(.wide)')) {
  const body = table.tBodies[0];
  if (body.rows.length < 3) continue;
  table.querySelectorAll('th').forEach((head, at) => {
    if (!head.textContent) return;
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const down = head.ariaSort !== 'descending';
      for (const other of table.querySelectorAll('th')) other.ariaSort = null;
      head.ariaSort = down ? 'descending' : 'ascending';
      const text = row => row.cells[at].textContent;
      const order = (a, b) => parseFloat(text(a)) - parseFloat(text(b)) || text(a).localeCompare(text(b));
      body.append(...[...body.rows].sort((a, b) => down ? order(b, a) : order(a, b)));
    };
  });
}
const articles = [...document.querySelectorAll('article:not(.columns *)')];
if (articles.length > 3) {
  const label = document.createElement('label'), field = document.createElement('input');
  label.className = 'filter';
  field.type = 'search';
  label.append('Find utterances by their words, name or speaker', field);
  articles[0].before(label);
  field.oninput = () => {
    const wanted = field.value.toLowerCase();
    for (const each of articles) each.hidden = !each.textContent.toLowerCase().includes(wanted);
  };
}
"""
