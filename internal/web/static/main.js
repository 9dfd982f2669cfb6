// The page's frame: the session, the chapters with their navigation, theme and motion.
import { $, h, frames, motion, setTheme } from './util.js';
import { Client, chapterNow, showChapter } from './client.js';
import { race } from './race.js';
import { touch } from './touch.js';
import { train } from './train.js';
import { why } from './why.js';
import { gpus } from './gpus.js';
import { talk } from './talk.js';
import { result } from './result.js';
import { tour } from './tour.js';

// A chapter is a function of its section and the client. It fills the section, or hides it when it has
// nothing to show on this machine.
const chapters = [['race', 'Race', race], ['touch', 'Touch', touch], ['train', 'Train', train], ['why', 'Why', why], ['gpus', 'Many GPUs', gpus], ['talk', 'Talk', talk], ['result', 'Result', result]];

setTheme(matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
$('#theme').onclick = () => setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');

const motionButton = $('#motion');
const showMotion = () => {
  motionButton.setAttribute('aria-pressed', motion.reduced);
  motionButton.title = motion.reduced ? 'Motion is reduced: two updates a second' : 'Reduce motion';
};
motionButton.onclick = () => { motion.reduced = !motion.reduced; showMotion(); };
showMotion();

$('.end').before(...chapters.map(([id, name]) => h('section.chapter', { id, 'aria-label': name })));
const sectionOf = id => document.getElementById(id);

function go(id, focus = true) {
  const section = sectionOf(id);
  if (!section || section.hidden) return;
  showChapter(id);
  if (id === 'race') scrollTo(0, 0); else section.scrollIntoView(); // the first one has its heading below the bar
  if (focus) { section.tabIndex = -1; section.focus({ preventScroll: true }); }
}

function navigation() {
  const shown = chapters.filter(([id]) => !sectionOf(id).hidden);
  const nav = $('.nav'), jump = $('.jump');
  nav.replaceChildren(...shown.map(([id, name]) => h('a', { href: '#' + id }, name)));
  jump.replaceChildren(...shown.map(([id, name]) => h('option', { value: id }, name)));
  jump.onchange = () => go(jump.value);
  document.addEventListener('click', e => {
    const link = e.target.closest?.('a[href^="#"]');
    if (link) { e.preventDefault(); go(link.hash.slice(1)); }
  });
  const seen = new IntersectionObserver(entries => {
    for (const e of entries) {
      if (!e.isIntersecting) continue;
      jump.value = e.target.id;
      for (const a of nav.children) a.ariaCurrent = a.hash === '#' + e.target.id ? 'true' : null;
    }
  }, { rootMargin: '-30% 0px -60% 0px' });
  for (const [id] of shown) seen.observe(sectionOf(id));
}

// While there is no connection, the page says so; a short interruption is not worth a message.
const client = new Client(), lost = h('p.lost', { role: 'alert', hidden: true });
let losing = 0;
$('header').after(lost);
client.on('', e => {
  if (e.type !== 'link') return;
  const tell = text => { lost.textContent = text; lost.hidden = !text; };
  if (e.data === false) { // for each attempt
    losing ||= setTimeout(tell, 3000, 'The connection to gpuplay is lost. The page continues when gpuplay answers again.');
    return;
  }
  clearTimeout(losing);
  losing = 0;
  tell(e.data === true ? '' : 'The session of this page is over because gpuplay was restarted. Open the address that it printed.');
});
// Another address that differs behind # alone, from a link or with a new token, is opened like any other.
addEventListener('hashchange', () => location.reload());
const open = await client.open().catch(e => { $('#locked').replaceChildren(h('h1', 'No connection'), h('p', e.message)); return false; });
if (open) {
  const began = chapterNow();
  for (const [id, , chapter] of chapters) await chapter(sectionOf(id), client);
  navigation();
  tour(client);
  if (began) go(began, false);
} else {
  for (const [id] of chapters) sectionOf(id).hidden = true;
  $('#locked').hidden = false;
}
Object.assign(window, { gpuplay: { client, frames, motion, setTheme } }); // for tests
document.documentElement.dataset.ready = 'true';
