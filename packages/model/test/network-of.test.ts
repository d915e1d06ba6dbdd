import { networkOf } from '@countersign/model';
import { expect, test } from 'vitest';

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['::', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['', ''],
])('%s counts as %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test('two addresses of one /64 are one network, and of two are two', () => {
  const of = (suffix: string) => networkOf(`2001:db8:7:${suffix}`);
  expect(of('8::1')).toBe(of('8:ffff:ffff:ffff:ffff'));
  expect(of('8::1')).not.toBe(of('9::1'));
});

test('whatever it is, it takes no more than 64 characters', () => {
  expect(networkOf('x'.repeat(1000)).length).toBeLessThanOrEqual(64);
  expect(networkOf('x'.repeat(1000) + ':'.repeat(500)).length).toBeLessThanOrEqual(64);
});
