import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isHostAllowed, isLoopback, SECURITY_HEADERS } from './security.ts';

test('addresses of this machine are told from others', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '::1', '[::1]']) {
    assert.equal(isLoopback(host), true, host);
  }
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.evil.example', 'example.com']) {
    assert.equal(isLoopback(host), false, host);
  }
});

test('bound to loopback, only names of this machine are answered', () => {
  const allowed = ['localhost', 'localhost:8033', 'LOCALHOST:1', '127.0.0.1:8033', '[::1]:8033'];
  for (const header of allowed) assert.equal(isHostAllowed(header, '127.0.0.1'), true, header);
  assert.equal(isHostAllowed('127.0.0.2:80', '127.0.0.2'), true);
  const refused = [
    undefined,
    '',
    'evil.example',
    'evil.example:8033',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '127.0.0.2',
    'localhost:8033:evil',
    'user@localhost',
    '[::1].evil.example',
    '[::2]:8033',
  ];
  for (const header of refused) assert.equal(isHostAllowed(header, '127.0.0.1'), false, header);
});

test('bound to other addresses, every name is answered', () => {
  assert.equal(isHostAllowed('collector.example:8033', '0.0.0.0'), true);
  assert.equal(isHostAllowed('collector.example:8033', '::'), true);
});

test('scripts and styles come from our own files only', () => {
  const policy = SECURITY_HEADERS['content-security-policy']!;
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe|\*|data:/);
});
