import { checkDigests, contentDigest, contentDigests } from '@countersign/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

// RFC 9530, appendices B and D.
const SAMPLES: readonly (readonly [string, string])[] = [
  ['{"hello": "world"}\n', 'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:'],
  [
    '{"hello": "world"}\n',
    'sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:',
  ],
  ['"world"}\n', 'sha-256=:jjcgBDWNAtbYUXI37CVG3gRuGOAjaaDRGpIUFsdyepQ=:'],
  ['{"hello": "world"}', 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:'],
];

function isContentOf(field: string, ...chunks: readonly (string | Uint8Array)[]): boolean {
  const digests = contentDigests(['Content-Digest', field]);
  if (!digests) throw new Error('no digests');
  const check = checkDigests(digests);
  for (const chunk of chunks) check.update(Buffer.from(chunk));
  return check.matches();
}

describe('content digests', () => {
  test.each(SAMPLES)('the samples of RFC 9530: %j is %s', (body, field) => {
    const algorithm = field.startsWith('sha-512') ? 'sha-512' : 'sha-256';
    expect(contentDigest(body, algorithm)).toBe(field);
    expect(isContentOf(field, body)).toBe(true);
    expect(isContentOf(field, `${body} `)).toBe(false);
  });

  test('every digest that we know must match', () => {
    const both = `${contentDigest('a')}, ${contentDigest('a', 'sha-512')}`;
    expect(isContentOf(both, 'a')).toBe(true);
    expect(isContentOf(`${contentDigest('a')}, ${contentDigest('b', 'sha-512')}`, 'a')).toBe(false);
  });

  test('a digest by another algorithm is passed over beside one that we know', () => {
    expect(isContentOf(`md5=:AAAA:, ${contentDigest('a')}`, 'a')).toBe(true);
  });

  test.each([
    ['md5=:AAAA:', 'no algorithm'],
    ['', 'no algorithm'],
    ['sha-256=:AAAA:', 'not 32 bytes'],
    ['sha-256="AAAA"', 'not 32 bytes'],
    ['sha-256', 'not 32 bytes'],
    ['sha-256=:A', 'no dictionary'],
  ])('refuses the field %j', (field, detail) => {
    expect(() => contentDigests(['content-digest', field])).toThrow(detail);
  });

  test('a message without the field has none', () => {
    expect(contentDigests(['Repr-Digest', contentDigest('a')])).toBeUndefined();
  });

  test('content is compared alike however it comes in pieces, and one changed byte shows', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.array(fc.nat(300), { maxLength: 5 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (body, cuts, at, flip) => {
          const places = [0, ...cuts.map((cut) => cut % body.length).sort((a, b) => a - b)];
          const pieces = places.map((from, i) => body.subarray(from, places[i + 1] ?? body.length));
          expect(isContentOf(contentDigest(body), ...pieces)).toBe(true);
          const changed = Uint8Array.from(body);
          changed[at % body.length] = (changed[at % body.length] as number) ^ flip;
          expect(isContentOf(contentDigest(body), changed)).toBe(false);
        },
      ),
    );
  });
});
