/** The styles of what a first visit does not show. Whoever imports this goes on when they are there. */

const link = document.createElement('link');
link.rel = 'stylesheet';
link.href = '/assets/pages.css';
export {};

await new Promise((resolve) => {
  // Without styles a page is still better than none.
  link.onload = link.onerror = resolve;
  document.head.append(link);
});
