// Called by pictures.sh: takes screenshots with Debian's Chromium.
import { createRequire } from "node:module";

const { chromium } = createRequire(new URL("../web-dashboard/package.json", import.meta.url))("playwright-core");
const [url, out, terminal] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});

/** @param {string} name @param {string} address @param {import("playwright-core").BrowserContextOptions} options */
async function picture(name, address, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(address);
  await page.waitForTimeout(4000); // long enough for charts and a few live frames
  if (terminal) {
    await page.evaluate(cells);
    await page.locator("pre").screenshot({ path: `${out}/${name}.png` });
  }
  if (!terminal) await page.screenshot({ path: `${out}/${name}.png` });
  await context.close();
}

/** Gives every character its cell, as a terminal does: not every font has braille of the right width. */
function cells() {
  const pre = /** @type {HTMLElement} */ (document.querySelector("pre"));
  pre.style.cssText = "display: inline-block; margin: 0; padding: 12px; background: #0a0a0a";
  const walker = document.createTreeWalker(pre, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(/** @type {Text} */ (walker.currentNode));
  for (const text of texts) {
    const parts = [...text.data].map((character) => {
      if (character === "\n") return document.createTextNode(character);
      const cell = document.createElement("span");
      cell.style.cssText = "display: inline-block; width: 1ch; height: 1.25em; overflow: hidden; vertical-align: top";
      cell.textContent = character;
      return cell;
    });
    text.replaceWith(...parts);
  }
}

if (terminal) {
  await picture("terminal", url, { viewport: { width: 1400, height: 1000 }, deviceScaleFactor: 1.5 });
} else {
  const laptop = { width: 1366, height: 860 };
  await picture("live-dark", url, { viewport: laptop, colorScheme: "dark" });
  await picture("live-light", url, { viewport: laptop, colorScheme: "light" });
  await picture("phone", url, { viewport: { width: 390, height: 844 }, colorScheme: "dark" });
  await picture("wall", `${url}?wall`, { viewport: { width: 1920, height: 1080 }, colorScheme: "dark" });
}
await browser.close();
