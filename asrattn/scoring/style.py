"""The report's style sheet: system fonts, light and dark, one column that a phone can hold."""

CSS = """
:root { color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --ink: #1d1f23; --soft: #6a6f78; --line: #e5e5e1;
  --accent: #3566b8; --sub: #a15a00; --sub-bg: #fdf0dc; --ins: #6b3fa0; --ins-bg: #f1e9fa;
  --del: #b3261e; --del-bg: #fce8e6; }
@media (prefers-color-scheme: dark) { :root {
  --page: #16171a; --card: #1e2024; --ink: #e6e6e3; --soft: #9a9fa8; --line: #303338;
  --accent: #86aef0; --sub: #f0b765; --sub-bg: #3a2c14; --ins: #c9a8f2; --ins-bg: #2e2440;
  --del: #f2938c; --del-bg: #401f1c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 58rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; font-weight: 650; letter-spacing: -.015em; margin: 0 0 .3rem;
  overflow-wrap: anywhere; }
h1 + p { margin-bottom: 1.2rem; }
h2 { font-size: 1.1rem; font-weight: 650; margin: 2.8rem 0 .8rem; }
h3 { font-size: .95rem; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
p { margin: .3rem 0; }
.soft { color: var(--soft); font-size: .875rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .8rem; }
th, td { padding: .45rem 1.1rem .45rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
.num { text-align: right; }
.bar { position: relative; width: 100%; min-width: 7rem; height: 1rem; }
.bar::before { content: ""; position: absolute; inset: calc(50% - .5px) 0 auto 0; height: 1px;
  background: var(--line); }
.bar i { position: absolute; top: calc(50% - 3px); height: 6px; border-radius: 3px; min-width: 2px;
  background: var(--accent); opacity: .35; }
.bar b { position: absolute; top: calc(50% - 5px); width: 10px; height: 10px; margin-left: -5px;
  border-radius: 50%; background: var(--accent); }
td.name { max-width: 12rem; overflow: hidden; text-overflow: ellipsis; }
td.wide { width: 45%; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .3rem 1.5rem; margin: 0; }
dt { color: var(--soft); overflow-wrap: anywhere; } dd { margin: 0; overflow-wrap: anywhere; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 0 3.5rem; }
.legend { margin-bottom: .8rem; }
.legend span { margin-right: .6rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1rem 1.2rem 1.1rem; margin: 0 0 1rem; }
article header { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1.5rem;
  align-items: baseline; margin-bottom: .5rem; overflow-wrap: anywhere; }
.pairs { display: flex; flex-wrap: wrap; gap: .45rem .3rem; }
.pairs > span { display: inline-grid; grid-template-rows: 1.6em 1.6em; text-align: center; line-height: 1.6em; }
.pairs > span > * { padding: 0 .3em; border-radius: 4px; white-space: pre; }
.pairs > span.rows { text-align: left; color: var(--soft); font-size: .8rem; line-height: 2em;
  grid-template-rows: 2em 2em; padding-right: .4rem; }
.pairs > span.rows > * { padding: 0; }
.substitute > * { color: var(--sub); background: var(--sub-bg); }
.insert > ins { color: var(--ins); background: var(--ins-bg); text-decoration: none; }
.delete > del { color: var(--del); background: var(--del-bg); text-decoration: line-through; }
.mark { padding: .05rem .4rem; border-radius: 4px; font-size: .85rem; }
.mark.s { color: var(--sub); background: var(--sub-bg); } .mark.i { color: var(--ins); background: var(--ins-bg); }
.mark.d { color: var(--del); background: var(--del-bg); text-decoration: line-through; }
img { display: block; width: 100%; height: auto; margin-top: .9rem; }
@media (max-width: 42rem) { main { padding-inline: 1rem; } .roomy { display: none; }
  th, td { padding-right: .8rem; }
  dl.found { grid-template-columns: 1fr; gap: 0; } dl.found dd { margin-bottom: .4rem; } }
"""
