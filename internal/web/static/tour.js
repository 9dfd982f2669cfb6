// The tour: five steps that a first visit is shown, and that can be skipped.
import { $, h } from './util.js';

const steps = [
  ['race', 'A product is a square', 'Press Race. Every card that flies is one matrix product that this machine completed just now; it stays as one cell, so the pile is a bar to scale.'],
  ['race', 'One sentence is the answer', 'It states a ratio only if both results were checked and are comparable. Otherwise it says why there is none.'],
  ['touch', 'Touch the gradient', 'The map is the loss of a real network. Drop the ball anywhere, and pull the arrow to choose the learning rate.'],
  ['why', 'What makes the difference', 'A CPU finishes small products before a GPU has even started. The sweep shows from which size the GPU wins.'],
  ['result', 'Take it with you', 'The card, the report and the record contain what others need to check the result, and the command that measures it again.'],
];
const SEEN = 'gpuplay.tour';

export function tour() {
  let at = 0;
  const title = h('h2'), text = h('p'), count = h('span.count');
  const next = h('button.go', 'Next'), skip = h('button', 'Skip');
  const box = h('div.tour', { role: 'dialog', 'aria-label': 'A tour in five steps', hidden: true }, title, text, h('div.acts', count, skip, next));
  document.body.append(box);
  const list = steps.filter(([id]) => !document.getElementById(id).hidden);
  const show = scroll => {
    const [id, head, body] = list[at];
    title.textContent = head;
    text.textContent = body;
    count.textContent = `${at + 1} of ${list.length}`;
    next.textContent = at + 1 === list.length ? 'Done' : 'Next';
    if (scroll) document.getElementById(id).scrollIntoView();
  };
  const end = () => {
    box.hidden = true;
    localStorage.setItem(SEEN, 'yes');
    $('#tour-go').focus();
  };
  next.onclick = () => { if (++at === list.length) end(); else show(true); };
  skip.onclick = end;
  box.addEventListener('keydown', e => { if (e.key === 'Escape') end(); });
  $('#tour-go').onclick = () => { at = 0; box.hidden = false; show(true); next.focus(); };
  if (!localStorage.getItem(SEEN)) { box.hidden = false; show(false); }
}
