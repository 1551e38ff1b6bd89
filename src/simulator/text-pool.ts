/**
 * Text pools: the popular hosts, paths, agents and titles of the simulated network, as bytes.
 *
 * Host names end in `.test`, which RFC 2606 reserves: none belongs to anybody.
 */

/** Many short texts in one array of bytes; text i is `bytes[starts[i] .. starts[i + 1]]`. */
export interface TextPool {
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  readonly count: number;
}

export function makeTextPool(texts: readonly (string | Uint8Array)[]): TextPool {
  const encoder = new TextEncoder();
  const parts = texts.map((text) => (typeof text === 'string' ? encoder.encode(text) : text));
  const starts = new Uint32Array(parts.length + 1);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  parts.forEach((part, index) => {
    bytes.set(part, at);
    at += part.length;
    starts[index + 1] = at;
  });
  return { bytes, starts, count: parts.length };
}

const SITES =
  'ferry mill river otter heron willow kayak delta brook trout harbor sluice weir pond reed pike'
    .split(' ')
    .concat('maple cedar linen amber cobalt velvet orbit comet lunar tidal north ember'.split(' '));
const SERVICES = ['www', 'm', 'api', 'img', 'cdn', 'live', 'video', 'mail', 'news', 'shop', 'play'];
const PAGES = [
  '',
  'index',
  'home',
  'login',
  'feed',
  'list',
  'item',
  'map',
  'live',
  'top',
  'a',
  'b',
];
const KINDS = ['', '.html', '.gif', '.js', '.png', '/1', '/2', '.json'];

const hosts = SITES.flatMap((site) => SERVICES.map((service) => `${service}.${site}.test`));
const paths = PAGES.flatMap((page) => KINDS.map((kind) => `/${page}${kind}`));

const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)',
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0',
  'Dalvik/2.1.0 (Linux; U; Android 13)',
  'okhttp/4.12.0',
  'curl/8.5.0',
  'VLC/3.0.20 LibVLC/3.0.20',
  'Softphone/5.6.1',
];

const TITLES = [
  'Evening news',
  'The long river',
  'Überfahrt',
  'Lake, live',
  'Match of the day',
  '水車',
];

export const HOSTS: TextPool = makeTextPool(hosts);
export const PATHS: TextPool = makeTextPool(paths);
export const USER_AGENTS: TextPool = makeTextPool(AGENTS);
export const STREAM_TITLES: TextPool = makeTextPool(TITLES);
export const RESOLUTIONS: TextPool = makeTextPool([
  '640x480',
  '1280x720',
  '1920x1080',
  '3840x2160',
]);
export const PATH_FRONTS: TextPool = makeTextPool([
  '/v/',
  '/img/',
  '/watch/',
  '/api/v2/item/',
  '/static/js/',
  '/u/profile/',
  '/segment/hd/',
]);
export const PATH_BACKS: TextPool = makeTextPool(['', '.m4s', '.jpg', '?id=7', '.html', '.js?v=3']);

/** Text that breaks careless programs, by name: stored and shown without loss or injection. */
export const HOSTILE_TEXTS: Readonly<Record<string, Uint8Array>> = Object.freeze({
  not_utf8: Uint8Array.of(0x62, 0x61, 0x64, 0xc3, 0x28, 0xff, 0xfe, 0x80, 0x21),
  comma: bytesOf('a,b,,c;d\te'),
  quote: bytesOf(`say "hi" it's "" done`),
  nul: bytesOf('before\0after'),
  newline: bytesOf('line 1\r\nline 2\n'),
  html: bytesOf('<script>alert(1)</script><img src=x onerror=alert(2)>&amp;'),
  backslash: bytesOf('C:\\dir\\x41\\n\\\\host'),
  sql: bytesOf(`'; DROP TABLE transaction_usage; --`),
});

export const HOSTILE_NAMES: readonly string[] = Object.freeze(Object.keys(HOSTILE_TEXTS));
export const HOSTILE_POOL: TextPool = makeTextPool(Object.values(HOSTILE_TEXTS));

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
