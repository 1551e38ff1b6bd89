/**
 * Sets light or dark before the first paint; a classic script, as modules run too late for that.
 * The choice is `light`, `dark` or nothing (then the system's); src/theme.ts changes it.
 */
(() => {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => {
    const chosen = localStorage.getItem('millrace-theme');
    document.documentElement.dataset.theme = chosen ?? (system.matches ? 'dark' : 'light');
    document.dispatchEvent(new Event('millrace-theme'));
  };
  system.addEventListener('change', apply);
  document.addEventListener('millrace-theme-chosen', apply);
  apply();
})();
