/**
 * Theme: system, light or dark; the first paint is public/theme.js's.
 */
import { byId, setText } from './dom.ts';

const CHOICES = [
  { stored: null, name: 'System' },
  { stored: 'light', name: 'Light' },
  { stored: 'dark', name: 'Dark' },
] as const;

export function startTheme(): void {
  const button = byId('theme');
  let at = CHOICES.findIndex(({ stored }) => stored === localStorage.getItem('millrace-theme'));
  if (at === -1) at = 0;
  const show = (): void => {
    const { name } = CHOICES[at]!;
    setText(byId('theme-text'), name);
    button.setAttribute('aria-label', `Theme: ${name.toLowerCase()}. Change it`);
  };
  button.addEventListener('click', () => {
    at = (at + 1) % CHOICES.length;
    const { stored } = CHOICES[at]!;
    if (stored === null) localStorage.removeItem('millrace-theme');
    else localStorage.setItem('millrace-theme', stored);
    document.dispatchEvent(new Event('millrace-theme-chosen'));
    show();
  });
  show();
}
