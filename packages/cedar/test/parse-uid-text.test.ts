import { parseUidText } from '@countersign/cedar';
import { expect, test } from 'vitest';

test.each([
  ['User::"alice"', { type: 'User', id: 'alice' }],
  ['Bank::Account::"22289"', { type: 'Bank::Account', id: '22289' }],
  [' A :: B :: "x" // a comment', { type: 'A::B', id: 'x' }],
  ['U::""', { type: 'U', id: '' }],
  ['U::"\\"\\\\\\n\\0\\x7f\\u{1F600}"', { type: 'U', id: '"\\\n\0\x7f\u{1F600}' }],
  ['__proto__::"constructor"', { type: '__proto__', id: 'constructor' }],
])('reads %s as a policy would', (text, uid) => {
  expect(parseUidText(text)).toEqual(uid);
});

test.each([
  '',
  'User',
  'User::alice',
  'User:"alice"',
  '::"alice"',
  'User::"alice',
  'User::"alice" x',
  'User::"alice"::"bob"',
  'User::"\\q"',
  'User::"\\*"',
  'User::"\\u{d800}"',
  'User::"\ud800"',
  'in::"x"',
  '7::"x"',
  `U::"${'x'.repeat(70_000)}"`,
])('takes %j for no name of an entity', (text) => {
  expect(parseUidText(text)).toBeUndefined();
});
