/**
 * Bars: a ranked list in which each row carries a bar of its share of the first one.
 */
import { element, reconcile, setText } from './dom.ts';

export interface Bar {
  readonly key: string;
  readonly label: string;
  readonly value: number;
  readonly text: string;
}

/** `empty` is shown when there is no row. */
export function showBars(parent: Element, bars: readonly Bar[], empty: string): void {
  const most = Math.max(1, ...bars.map(({ value }) => value));
  parent.toggleAttribute('data-empty', bars.length === 0);
  const rows = bars.length > 0 ? bars : [{ key: '', label: empty, value: 0, text: '' }];
  reconcile(
    parent,
    rows,
    ({ key }) => `row ${key}`,
    makeBar,
    (target, bar) => {
      const [label, value] = [...target.children] as HTMLElement[];
      setText(label!, bar.label);
      label!.title = bar.label;
      setText(value!, bar.text);
      target.style.setProperty('--share', `${((100 * bar.value) / most).toFixed(1)}%`);
    },
  );
}

function makeBar(): HTMLElement {
  return element(
    'li',
    {},
    element('span', { class: 'bar-label' }),
    element('span', { class: 'bar-value' }),
  );
}
