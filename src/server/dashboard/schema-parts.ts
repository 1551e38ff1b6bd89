/**
 * Schema parts: objects all of whose keys are required, and open to keys that are new.
 */
export type Schema = Readonly<Record<string, unknown>>;

export function object(properties: Readonly<Record<string, Schema>>): Schema {
  return {
    type: 'object',
    additionalProperties: true,
    required: Object.keys(properties),
    properties,
  };
}

export function numbersOf(...keys: readonly string[]): Record<string, Schema> {
  return Object.fromEntries(keys.map((key) => [key, { type: 'number' }]));
}
