/**
 * Elements made by code. Text becomes text nodes: nothing here can turn data into markup, and no
 * other file of the page makes markup either (subscriber ids and hosts come from the network).
 */
type Attributes = Readonly<Record<string, string>>;

export function element(tag: string, attributes: Attributes, ...children: (Node | string)[]) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Writes only when it changes, so that a selection and a screen reader are left alone. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element #${id}`);
  return found;
}

/**
 * Brings the children of `parent` in line with `items`: one element per key, reused, in this order.
 */
export function reconcile<Item>(
  parent: Element,
  items: readonly Item[],
  keyOf: (item: Item) => string,
  make: (item: Item) => HTMLElement,
  update: (target: HTMLElement, item: Item) => void,
): void {
  const known = new Map<string, HTMLElement>();
  for (const child of [...parent.children] as HTMLElement[])
    known.set(child.dataset.key ?? '', child);
  items.forEach((item, index) => {
    const key = keyOf(item);
    let child = known.get(key);
    if (child === undefined) {
      child = make(item);
      child.dataset.key = key;
    }
    known.delete(key);
    update(child, item);
    if (parent.children[index] !== child)
      parent.insertBefore(child, parent.children[index] ?? null);
  });
  for (const left of known.values()) left.remove();
}
