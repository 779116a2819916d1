/** The list of keys, made from the same table that acts on them. */

import { find, stamp } from './card.js';
import './styles.js';

/** @param {import('../app.js').Key[]} keys */
export function showHelp(keys) {
  const known = /** @type {HTMLDialogElement | null} */ (document.querySelector('dialog.help'));
  const dialog = known ?? /** @type {HTMLDialogElement} */ (stamp('help-template'));
  if (!known) {
    const list = find(dialog, 'dl');
    for (const { shown, does } of keys) {
      const name = document.createElement('dt');
      const key = document.createElement('kbd');
      key.textContent = shown;
      name.append(key);
      const meaning = document.createElement('dd');
      meaning.textContent = does;
      list.append(name, meaning);
    }
    document.body.append(dialog);
    dialog.addEventListener('click', (event) => {
      if (event.target === dialog) dialog.close();
    });
  }
  if (dialog.open) dialog.close();
  else dialog.showModal();
}
