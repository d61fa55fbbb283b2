/** The looks of a report, light and dark, and the one thing in it that moves. report.ts puts both into the page. */
export const styles = `
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1b1f24; --soft: #667080; --line: #e3e6eb;
  --train: #2f6fde; --val: #e0751c; --right: #2f6fde; --wrong: #e0751c; }
@media (prefers-color-scheme: dark) { :root { --page: #101318; --card: #181c23; --ink: #e8eaee; --soft: #939dac;
  --line: #2a303a;
  --train: #6aa0ff; --val: #ff9d4d; --right: #4f8cf5; --wrong: #f08a3c; } }
* { box-sizing: border-box; margin: 0; }
body { background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 20px 64px; display: grid; gap: 20px;
  grid-template-columns: minmax(0, 1fr); }
main > div { display: contents; }
h1 { font-size: 26px; line-height: 1.25; letter-spacing: -.01em; }
h2, .chart figcaption { font-size: 16px; font-weight: 600; }
section, .headline { min-width: 0; }
section:not(.charts), .chart { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; }
small { font-size: 12px; font-weight: 400; color: var(--soft); }
.note { color: var(--soft); font-size: 13.5px; margin: 2px 0 14px; }
.headline { display: flex; flex-wrap: wrap; gap: 6px 40px; }
.headline div { display: flex; flex-direction: column-reverse; }
.headline dt { color: var(--soft); font-size: 13.5px; }
.headline dd { font-size: 28px; font-weight: 600; line-height: 1.2; letter-spacing: -.01em; }
.charts { display: grid; gap: 20px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
.chart { position: relative; }
.chart svg { display: block; width: 100%; height: auto; margin-top: 8px; overflow: visible; }
.legend { float: right; font-weight: 400; font-size: 13px; color: var(--soft); }
.key { margin-left: 16px; }
.key::before { content: ""; display: inline-block; width: 14px; height: 3px; border-radius: 2px; margin-right: 6px;
  vertical-align: middle; background: var(--hue); }
.train { --hue: var(--train); } .val { --hue: var(--val); }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); stroke-opacity: .6; }
.tick { fill: var(--soft); font-size: 12px; }
.curve { fill: none; stroke: var(--hue); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.curve.raw { stroke-width: 1; opacity: .3; }
.dot { fill: var(--hue); stroke: var(--card); stroke-width: 1.5; }
.cross { stroke: var(--soft); stroke-dasharray: 3 3; }
.tip { position: absolute; pointer-events: none; padding: 6px 10px; border-radius: 6px; background: var(--ink);
  color: var(--page); font-size: 12.5px; white-space: nowrap; }
.tip .key { margin: 0; display: block; }
.scroll { overflow-x: auto; }
.confusion { border-spacing: 3px; margin: 0 auto; font-size: 14px; }
.confusion th { font-weight: 600; color: var(--soft); padding: 2px 8px; }
.confusion td { min-width: 48px; height: 34px; text-align: center; border-radius: 5px; }
.confusion tbody td:not(.recall) {
  background: color-mix(in srgb, var(--hue, transparent) var(--share, 0%), var(--page));
  }
.confusion .right { --hue: var(--right); } .confusion .wrong { --hue: var(--wrong); }
.confusion .strong { color: #fff; font-weight: 600; }
.confusion .none { color: var(--soft); opacity: .5; }
.confusion .recall { padding-left: 10px; color: var(--soft); text-align: right; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)); gap: 12px 10px; }
.gallery figure { text-align: center; font-size: 13.5px; line-height: 1.35; }
.gallery img { width: 100%; height: auto; image-rendering: pixelated; border-radius: 6px; display: block;
  margin-bottom: 4px; outline: 1px solid var(--line); }
.gallery .wrong img { outline: 2px solid var(--wrong); }
.gallery .wrong figcaption { color: var(--wrong); font-weight: 600; }
.wall { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 200px), 1fr)); gap: 16px; margin-top: 10px; }
.wall img { width: 100%; height: auto; image-rendering: pixelated; border-radius: 6px; display: block;
  outline: 1px solid var(--line); }
.wall figcaption, .texts figcaption { font-size: 13.5px; margin-top: 6px; }
.texts { display: grid; gap: 12px; margin-top: 6px; }
.texts pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 13.5px/1.5 ui-monospace, Menlo, Consolas, monospace;
  background: var(--page); border-radius: 6px; padding: 10px 14px; margin-top: 4px; }
[data-live] h1::after { content: "live"; font-size: 13px; font-weight: 600; letter-spacing: 0; vertical-align: middle;
  margin-left: 12px; padding: 2px 10px; border-radius: 99px; color: #fff; background: #1f9d55; }
[data-live=off] h1::after { content: "ended"; background: var(--soft); }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); gap: 4px 40px;
  margin-top: 10px; }
.facts div { display: flex; justify-content: space-between; gap: 16px; border-bottom: 1px solid var(--line);
  padding: 5px 0; }
.facts dt { color: var(--soft); } .facts dd { text-align: right; overflow-wrap: anywhere; }
@media (max-width: 560px) { .tick { font-size: 17px; } }
@media print { body { background: none; } section, .chart { break-inside: avoid; } }
`;

// Shows the values at the pointer's place: the page is complete without it.
export const script = `
const tip = document.createElement('div');
const cross = document.createElementNS('http://www.w3.org/2000/svg', 'line');
tip.className = 'tip';
cross.classList.add('cross');
document.addEventListener('pointermove', (event) => {
  const svg = event.target.closest('svg[data-curves]');
  if (svg === null) { tip.remove(); cross.remove(); return; }
  const curves = JSON.parse(svg.dataset.curves);
  const box = svg.getBoundingClientRect();
  const unit = svg.viewBox.baseVal.width / box.width;
  const x = (event.clientX - box.left) * unit;
  const nearer = (a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a;
  const nearest = curves.map(({ points }) => points.reduce(nearer));
  const closest = nearest.reduce(nearer);
  const ends = { x1: closest[0], x2: closest[0], y1: svg.dataset.top, y2: svg.dataset.bottom };
  for (const [key, value] of Object.entries(ends)) cross.setAttribute(key, value);
  svg.append(cross);
  tip.replaceChildren(svg.dataset.x + ' ' + closest[2], ...curves.map(({ name, kind }, i) => {
    const row = document.createElement('span');
    row.className = 'key ' + kind;
    row.textContent = name + ' ' + nearest[i][3];
    return row;
  }));
  svg.parentElement.append(tip);
  const frame = svg.parentElement.getBoundingClientRect();
  const right = event.clientX - box.left > box.width / 2;
  tip.style.top = box.top - frame.top + 12 + 'px';
  tip.style.left = box.left - frame.left + closest[0] / unit + (right ? -12 - tip.offsetWidth : 12) + 'px';
});
`;

// Takes new sections as the server sends them; the server draws them.
export const liveScript = `
const events = new EventSource('events');
const show = (state) => { document.documentElement.dataset.live = state; };
events.onopen = () => show('on');
events.onerror = () => show('off');
events.onmessage = (event) => {
  for (const [id, html] of Object.entries(JSON.parse(event.data))) document.getElementById(id).innerHTML = html;
};
`;
