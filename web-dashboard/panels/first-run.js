/**
 * What is shown while the hub knows no device: how to send the first reading. It needs nothing pressed: when the first
 * reading arrives, the application shows the live page instead.
 */

import { find, setText, stamp } from './card.js';

const COPIED_MS = 2000;

/** @param {HTMLElement} root */
export function mount(root) {
  const panel = stamp('first-run-template');
  const { origin, host, protocol } = location;
  // A newcomer has a source folder and cargo, not an installed device-sim.
  const sim = `cargo run --release -p device-sim -- --hub ${protocol === 'https:' ? 'wss' : 'ws'}://${host}`;
  const commands = {
    curl: `curl -X POST ${origin}/api/v1/readings -H 'content-type: application/json' -d '{"device":"shed","readings":{"temp":21.5}}'`,
    sim: `${sim} --device demo --devices 3 --rate 10`,
    host: `${sim} --source host`,
  };
  for (const [name, command] of Object.entries(commands)) {
    const box = /** @type {HTMLElement} */ (find(panel, `[data-command=${name}]`));
    const code = find(box, 'code');
    const button = /** @type {HTMLButtonElement} */ (find(box, 'button'));
    code.replaceChildren(...command.split(' ').flatMap((word, index) => [...(index > 0 ? [' '] : []), span(word)]));
    button.addEventListener('click', () => copy(code, button));
  }
  root.className = 'single';
  root.replaceChildren(panel);
  return { sync() {}, frame() {}, restyle() {}, destroy() {} };
}

/** @param {string} text */
function span(text) {
  const element = document.createElement('span');
  element.textContent = text;
  return element;
}

/** The clipboard needs a secure page; without one the text is selected, ready for the keys. @param {Element} code @param {HTMLElement} button */
async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent ?? '');
    setText(button, 'Copied');
  } catch {
    getSelection()?.selectAllChildren(code);
    setText(button, 'Selected');
  }
  setTimeout(() => setText(button, 'Copy'), COPIED_MS);
}
