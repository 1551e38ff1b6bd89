import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigInput, makeConfig } from './config.ts';
import { forwardOptions } from './forward-plan.ts';
import { forwardWarnings } from './forward-warnings.ts';

type ForwardInput = NonNullable<ConfigInput['forward']>;

function warned(forward: ForwardInput, ...patterns: readonly RegExp[]): void {
  const config = makeConfig({ forward });
  forwardOptions(config);
  const warnings = forwardWarnings(config);
  assert.equal(warnings.length, patterns.length, warnings.join('\n'));
  for (const [n, pattern] of patterns.entries()) assert.match(warnings[n]!, pattern);
}

const to = (name: string, more: object = {}) => ({ name, host: '192.0.2.1', port: 4000, ...more });
const destinations = [to('a'), to('b')];
const members = [{ destination: 'a' }, { destination: 'b' }];

test('what is as it should be is not warned about', () => {
  warned({});
  warned({
    destinations: [
      to('a', { onLag: 'drop-oldest', lagMsMax: 5, filter: "subscriber_id ~ '^10.*@inet$'" }),
    ].map((one) => ({ ...one, filter: 'category = usage and server_port in (0, 65535)' })),
    categories: { usage: ['TUR'] },
  });
  warned({
    destinations,
    groups: [{ name: 'g', mode: 'load-balancing', by: 'hash', field: 'package_id', members }],
  });
  warned({
    destinations,
    groups: [
      { name: 'g', mode: 'redundancy', members: [{ ...members[0]!, priority: 5 }, members[1]!] },
    ],
  });
});

test('drop-oldest without a limit', () => {
  warned(
    { destinations: [to('a', { onLag: 'drop-oldest' })] },
    /^forward\.destinations\[a\]\.onLag: .*lagBytesMax or lagMsMax/,
  );
});

test('keys that play no part in the mode of their group', () => {
  const group = (more: object) =>
    ({ destinations, groups: [{ name: 'g', members, ...more }] }) as ForwardInput;
  warned(
    group({ mode: 'multicast', by: 'block', switchBackMs: 1 }),
    /^forward\.groups\[g\]: by, switchBackMs play no part in multicast/,
  );
  warned(group({ mode: 'load-balancing', by: 'block', field: 'package_id' }), /field play/);
  const unequal = [{ destination: 'a', priority: 1 }, members[1]!];
  warned(
    group({ mode: 'load-balancing', members: unequal }),
    /members: priority plays no part in load-balancing/,
  );
  warned(
    group({ mode: 'redundancy', members: unequal, field: 'package_id' }),
    /field play no part in redundancy/,
  );
});

test('a set of tags that nobody uses', () => {
  const categories = { usage: ['TUR'], quota: ['quota_breach'], idle: [1] };
  warned(
    {
      destinations: [to('a', { categories: ['usage'], filter: 'not category = quota' })],
      categories,
    },
    /^forward\.categories\.idle: nobody uses this set/,
  );
});

test('filters that hardly mean what they say', () => {
  const filter = (text: string) => ({ destinations: [to('a', { filter: text })] });
  warned(filter("subscriber_id ~ 'sub.*'"), /\[a\]\.filter: .*a dot is a dot/);
  warned(filter("subscriber_id ~ '^10.*@inet$'"));
  warned(filter("subscriber_id ~ 'a|b'"), /no regular expression: join two/);
  warned(filter('server_port = -1'), /server_port is 0 to 65535: -1 is out of its range/);
  warned(filter('server_port in (80, 99999999999)'), /99999999999 is out of its range/);
  warned(filter('header_field_count = 256'), /is 0 to 255: 256/);
  warned(filter('tag = TUR and link_id = 1'), /never holds/);
  warned(filter('tag = TUR and (link_id = 1 or seconds = 1)'), /never holds/);
  warned(filter('not (tag = TUR and link_id = 1)'));
});
