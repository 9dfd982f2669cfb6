// Chapter Result: the card, the report and the record of a run, as the commands card and report make them.
import { h, isDark, onTheme } from './util.js';
import { settings } from './client.js';

export function result(section, client) {
  const chosen = settings('result', { run: '' });
  let run = null, headline = null;
  const shot = h('div.shot'), which = h('select', { 'aria-label': 'Stored runs', onchange: e => load(e.target.value) });
  const save = (format, text, kind = '') => h('a', { class: 'btn ' + kind, id: 'save-' + format, download: '' }, text);
  const links = { png: save('png', 'Save PNG', 'go'), svg: save('svg', 'Save SVG'), report: save('report', 'Save the report'), json: save('json', 'Save JSON'), csv: save('csv', 'Save CSV') };
  const command = h('code', { tabindex: '0', class: 'command' });
  section.append(
    h('div.head', h('h2', 'Take it with you'), h('p', 'Every file names the hardware, the engines, the type, the size, the number of products, the spread and the date, so that others can check the result.'), which),
    h('div.card', shot, h('div.get', Object.values(links), h('p', 'This command measures it again:'), command)));

  function show() {
    if (!run) return;
    const of = format => `/api/v1/results/${encodeURIComponent(run)}?format=${format}`, theme = isDark() ? 'dark' : 'light';
    shot.replaceChildren(h('img', { src: `${of('svg')}&theme=${theme}`, width: 1200, height: 630, alt: headline ? `Result: ${headline.Figure} ${headline.Unit} ${headline.Claim}. ${headline.Detail}. ${headline.Subject}. ${headline.Proof}.` : 'Result' }));
    for (const [format, a] of Object.entries(links)) a.href = of(format) + (format === 'svg' ? '&save=1' : '') + (format === 'svg' || format === 'png' ? '&theme=' + theme : '');
  }

  async function load(id) {
    const v = await client.get('results/' + encodeURIComponent(id)).catch(() => null);
    if (!v?.headline) return;
    run = id;
    headline = v.headline;
    command.textContent = v.command ?? '';
    section.hidden = false;
    show();
  }

  async function list(latest) {
    const kept = (await client.get('results?limit=50').catch(() => [])).filter(e => e.figure);
    which.replaceChildren(...kept.map(e => h('option', { value: e.name }, `${e.created.slice(0, 16).replace('T', ' ')} · ${e.task} · ${e.figure}`)));
    which.hidden = kept.length < 2;
    const id = latest ?? (chosen.get().run || kept[0]?.name);
    if (!id) {
      shot.replaceChildren(h('p.empty', 'The card of your first race will appear here.'));
      return;
    }
    await load(id);
    which.value = kept.find(e => e.id === id || e.name === id)?.name ?? '';
  }

  onTheme(show);
  client.on('result', e => { if (e.type === 'idle' && e.data.result) list(e.data.result); });
  return list();
}
