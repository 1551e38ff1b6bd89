/**
 * Welcome: what to do while no exporter has ever connected.
 */
import type { Snapshot } from '../../src/server/snapshot.ts';
import { byId, element } from './dom.ts';

const LOOPBACK = /^(127\.|\[?::1\]?|localhost)/;

/** Shows or hides the panel; true while it is shown. */
export function showWelcome({ exporters, recordsTotal, listeners }: Snapshot): boolean {
  const panel = byId('welcome');
  const isEmpty = exporters.length === 0 && recordsTotal === 0;
  const key = listeners.join(' ');
  if (isEmpty && panel.dataset.listeners !== key) {
    panel.dataset.listeners = key;
    panel.replaceChildren(...contentOf(listeners));
  }
  panel.hidden = !isEmpty;
  return isEmpty;
}

function contentOf(listeners: readonly string[]): HTMLElement[] {
  const first = listeners[0] ?? '127.0.0.1:33000';
  const port = first.slice(first.lastIndexOf(':') + 1);
  const isLocal = listeners.every((address) => LOOPBACK.test(address));
  const reach = isLocal
    ? element(
        'p',
        { class: 'note' },
        'It listens on this machine only. For a device elsewhere start it with ',
        element('code', {}, `--listen 0.0.0.0:${port}`),
        ' and set an allow-list: RDRv1 has no log-in.',
      )
    : element('p', { class: 'note' }, 'Its address here is the one that the device can reach.');
  return [
    element('h2', { id: 'welcome-title' }, 'Ready, and waiting for the first record'),
    element(
      'div',
      { class: 'ways' },
      element(
        'div',
        {},
        element('h3', {}, 'Point an SCE at it'),
        element(
          'pre',
          {},
          element(
            'code',
            {},
            `rdr-formatter destination <this host> port ${port} category number 1 priority 100`,
          ),
        ),
        reach,
      ),
      element(
        'div',
        {},
        element('h3', {}, 'Or run the simulated one'),
        element('pre', {}, element('code', {}, `./millrace generate ${first} --rate 20000`)),
        element(
          'p',
          { class: 'note' },
          'It sends over a real connection until you stop it with Ctrl-C.',
        ),
      ),
    ),
  ];
}
