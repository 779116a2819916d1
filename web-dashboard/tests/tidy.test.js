/** Promises about the files themselves: what is loaded, how much of it, and what may not be in it. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (/** @type {string} */ path) => readFileSync(join(ROOT, path), 'utf8');
const html = read('index.html');
const css = read('style.css');
const sources = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.js') && !/^(node_modules|vendor|tests)\//.test(path));

/** A first visit loads these: what is imported, and the page that is shown first. */
function coldModules() {
  const seen = new Set();
  const queue = ['app.js', 'panels/cards.js'];
  for (let path = queue.pop(); path; path = queue.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    for (const [, target] of read(path).matchAll(/^import [^;]*?from '(\.[^']+)'/gm)) queue.push(relative(ROOT, join(ROOT, dirname(path), target)));
  }
  return [...seen].sort();
}

test('index.html preloads exactly the modules of a first visit', () => {
  const preloaded = [...html.matchAll(/modulepreload" href="\/assets\/([^"]+)"/g)].map((match) => match[1]);
  assert.deepEqual([...preloaded, 'app.js'].sort(), coldModules());
});

test('a first visit takes at most 20 requests and 75 KB', () => {
  const scripts = [...html.matchAll(/<script defer src="\/assets\/([^"]+)"/g)].map((match) => match[1]);
  const files = ['index.html', 'style.css', ...scripts, ...coldModules()];
  const bytes = files.reduce((sum, path) => sum + gzipSync(readFileSync(join(ROOT, path)), { level: 9 }).length, 0);
  console.log(`${files.length} files and a socket, ${bytes} bytes gzipped`);
  assert.ok(files.length + 1 <= 20, `${files.length} files and a socket`);
  assert.ok(bytes <= 75 * 1024, `${bytes} bytes`);
});

test('every import of a module exists', () => {
  for (const path of sources) {
    for (const [, target] of read(path).matchAll(/(?:from|import\()\s*'(\.[^']+\.js)'/g)) {
      if (!target.endsWith('types.js')) assert.ok(existsSync(join(ROOT, dirname(path), target)), `${path} imports ${target}`);
    }
  }
});

test('nothing from the hub can become markup or code', () => {
  for (const path of sources) {
    assert.doesNotMatch(read(path), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\('(style|on)/, path);
  }
});

test('the page works under a policy without inline scripts and styles, and asks no one else', () => {
  assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:/i);
  for (const text of [html, css, ...sources.map(read)]) {
    assert.doesNotMatch(text.replaceAll('http://www.w3.org/2000/svg', ''), /https?:\/\/[a-z]/i);
  }
});

test('the vendored files are those that were checked', () => {
  for (const line of read('vendor/uplot/SHA256SUMS').trim().split('\n')) {
    const [sum, name] = line.split(/\s+/);
    assert.equal(createHash('sha256').update(readFileSync(join(ROOT, 'vendor/uplot', name))).digest('hex'), sum, name);
  }
});

test('only the adapter knows uPlot', () => {
  for (const path of sources) if (path !== 'charts/uplot-adapter.js') assert.doesNotMatch(read(path), /\buPlot\b/, path);
});

/** @param {string} hex */
function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
/** @param {string} a @param {string} b */
const contrast = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};

test('lines and marks are at least 3:1 on their card, words 4.5:1, in both themes', () => {
  for (const [theme, block] of [['dark', css.match(/^:root \{([^}]*)\}/m)], ['light', css.match(/^:root\[data-theme="light"\] \{([^}]*)\}/m)]]) {
    const colours = Object.fromEntries([.../** @type {RegExpMatchArray} */ (block)[1].matchAll(/--([\w-]+): (#[0-9a-f]{6})/g)].map((match) => [match[1], match[2]]));
    for (const name of ['series-1', 'series-2', 'series-3', 'series-4', 'series-5', 'series-6', 'series-7', 'series-8', 'fresh', 'overdue', 'offline', 'accent']) {
      assert.ok(contrast(colours[name], colours.panel) >= 3, `${theme} ${name}: ${contrast(colours[name], colours.panel).toFixed(2)}`);
    }
    for (const name of ['text', 'quiet', 'muted']) {
      for (const ground of ['panel', 'ground']) assert.ok(contrast(colours[name], colours[ground]) >= 4.5, `${theme} ${name} on ${ground}: ${contrast(colours[name], colours[ground]).toFixed(2)}`);
    }
  }
});
