import { parseSpiffeId, parseTrustDomain } from '@countersign/spiffe';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const refused = expect.objectContaining({ code: 'ERR_SPIFFE_ID_INVALID' });

describe('a SPIFFE ID', () => {
  test.each([
    ['spiffe://bank.example', 'bank.example', ''],
    ['spiffe://bank.example/workload/payments/api', 'bank.example', '/workload/payments/api'],
    ['spiffe://a_b-c.1/x', 'a_b-c.1', '/x'],
    ['spiffe://bank.example/A.b_C-d/0', 'bank.example', '/A.b_C-d/0'],
    ['spiffe://bank.example/...', 'bank.example', '/...'],
    ['spiffe://bank.example/.hidden/a..b', 'bank.example', '/.hidden/a..b'],
    [`spiffe://${'a'.repeat(255)}/x`, 'a'.repeat(255), '/x'],
    [`spiffe://b/${'a'.repeat(2048 - 11)}`, 'b', `/${'a'.repeat(2048 - 11)}`],
  ])('%.60s is read', (text, trustDomain, path) => {
    expect(parseSpiffeId(text)).toEqual({ uri: text, trustDomain, path });
  });

  test.each([
    [''],
    ['spiffe://'],
    ['spiffe:///workload'],
    ['spiffe:/bank.example/x'],
    ['SPIFFE://bank.example/x'],
    ['spiffe://Bank.example/x'],
    ['https://bank.example/x'],
    ['spiffe://bank.example/'],
    ['spiffe://bank.example/x/'],
    ['spiffe://bank.example//x'],
    ['spiffe://bank.example/x//y'],
    ['spiffe://bank.example/.'],
    ['spiffe://bank.example/..'],
    ['spiffe://bank.example/../admin'],
    ['spiffe://bank.example/x/./y'],
    ['spiffe://bank.example/x/..'],
    ['spiffe://bank.example:443/x'],
    ['spiffe://user@bank.example/x'],
    ['spiffe://bank.example/x?y'],
    ['spiffe://bank.example/x#y'],
    ['spiffe://bank.example/%78'],
    ['spiffe://bank%2eexample/x'],
    ['spiffe://bank.example/x y'],
    ['spiffe://bank.example/ä'],
    ['spiffe://bänk.example/x'],
    ['spiffe://bank.example/x\n'],
    ['spiffe://bank.example/x\0'],
    [' spiffe://bank.example/x'],
    ['spiffe://bank.example\\x'],
    ['spiffe://[::1]/x'],
    [`spiffe://${'a'.repeat(256)}/x`],
    [`spiffe://b/${'a'.repeat(2049 - 11)}`],
  ])('%.60j is refused', (text) => {
    expect(() => parseSpiffeId(text)).toThrow(refused);
  });

  test('is refused with a message of one short line, whatever it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 4000 }), (noise) => {
        try {
          parseSpiffeId(`spiffe://bank.example/${noise}`);
        } catch (error) {
          const { message } = error as Error;
          expect(message.length).toBeLessThan(1500);
          expect(message).not.toMatch(/[\n\r\0]/);
        }
      }),
    );
  });

  test('is made of nothing but its parts, and reads back as itself', () => {
    const piece = (characters: string) =>
      fc.string({ unit: fc.constantFrom(...characters), minLength: 1, maxLength: 40 });
    const segment = piece('abcXYZ019._-').filter((text) => text !== '.' && text !== '..');
    fc.assert(
      fc.property(
        piece('abcxyz019._-'),
        fc.array(segment, { maxLength: 8 }),
        (domain, segments) => {
          const uri = `spiffe://${domain}${segments.map((each) => `/${each}`).join('')}`;
          const { trustDomain, path } = parseSpiffeId(uri);
          expect(trustDomain).toBe(domain);
          expect(`spiffe://${trustDomain}${path}`).toBe(uri);
        },
      ),
    );
  });

  test('with one character changed is still strict: it is read as written or refused', () => {
    const uri = 'spiffe://bank.example/workload/payments/api';
    fc.assert(
      fc.property(
        fc.nat(uri.length - 1),
        fc.string({ unit: 'binary', maxLength: 3 }),
        (at, put) => {
          const changed = uri.slice(0, at) + put + uri.slice(at + 1);
          try {
            const id = parseSpiffeId(changed);
            expect(id.uri).toBe(changed);
            expect(id.uri).toMatch(/^spiffe:\/\/[a-z0-9._-]+(\/[\w.-]+)*$/);
          } catch (error) {
            expect(error).toEqual(refused);
          }
        },
      ),
    );
  });
});

describe('a trust domain', () => {
  test.each([['bank.example'], ['a'.repeat(255)]])('%.40s is read', (text) => {
    expect(parseTrustDomain(text)).toBe(text);
  });
  test.each([[''], ['Bank'], ['a/b'], ['a:1'], ['a'.repeat(256)]])('%.40j is refused', (text) => {
    expect(() => parseTrustDomain(text)).toThrow(refused);
  });
});
