import { createHmac, createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  isSignatureOf,
  receivedSignatures,
  SdkError,
  signatureBase,
  signMessage,
} from '@countersign/sdk';
import { describe, expect, test } from 'vitest';
import { messageOf, type RawMessage } from './http-message.ts';

interface Vector {
  readonly name: string;
  readonly message: RawMessage;
  readonly key: string;
  readonly input: string;
  readonly signature: string;
  readonly base?: readonly string[];
  readonly verifies?: false;
  readonly deterministic?: true;
}

const vectors = JSON.parse(
  readFileSync(new URL('./vectors/rfc9421.json', import.meta.url), 'utf8'),
) as {
  readonly keys: Readonly<Record<string, { public?: string; private?: string; secret?: string }>>;
  readonly signatures: readonly Vector[];
};

const keyOf = (name: string, half: 'public' | 'private' | 'secret') =>
  vectors.keys[name]?.[half] ?? '';

describe('the vectors of RFC 9421', () => {
  test.each(vectors.signatures)('$name', (vector) => {
    const fields = ['Signature-Input', vector.input, 'Signature', vector.signature];
    const message = messageOf(vector.message, fields);
    const [received] = receivedSignatures(message.fields);
    if (!received) throw new Error('no signature');
    expect(`${received.label}=${received.input}`).toBe(vector.input);
    const base = signatureBase(message, received);
    if (vector.base) expect(base).toBe(vector.base.join('\n'));
    const secret = keyOf(vector.key, 'secret');
    if (secret) {
      // A shared secret proves nothing to a third party: the room has no such algorithm, the base is ours.
      const mac = createHmac('sha256', Buffer.from(secret, 'base64')).update(base).digest();
      expect(mac.equals(received.signature)).toBe(true);
      return;
    }
    const key = createPublicKey(keyOf(vector.key, 'public'));
    expect(isSignatureOf(base, received.signature, key)).toBe(vector.verifies !== false);
    expect(isSignatureOf(`${base} `, received.signature, key)).toBe(false);
  });

  test.each(vectors.signatures.filter(({ key }) => keyOf(key, 'private')))(
    'signs $name alike',
    ({ message: raw, input, signature, key, base, deterministic }) => {
      const message = messageOf(raw);
      const [given] = receivedSignatures(['signature-input', input, 'signature', signature]);
      if (!given) throw new Error('no signature');
      const made = signMessage(message, {
        key: createPrivateKey(keyOf(key, 'private')),
        components: given.components.map(({ identifier }) => identifier),
        parameters: given.parameters,
        label: given.label,
      });
      expect(made.signatureInput).toBe(input);
      if (base) expect(made.base).toBe(base.join('\n'));
      if (deterministic) expect(made.signature).toBe(signature);
      const [again] = receivedSignatures(['signature-input', input, 'signature', made.signature]);
      const publicKey = createPublicKey(keyOf(key, 'public'));
      expect(isSignatureOf(made.base, again?.signature ?? new Uint8Array(), publicKey)).toBe(true);
    },
  );
});

function lineOf(
  message: RawMessage & { trailers?: readonly string[]; requestTarget?: string },
  component: string,
  types: Parameters<typeof signatureBase>[2] = {},
): string {
  const [received] = receivedSignatures([
    'Signature-Input',
    `s=(${component});created=1`,
    'Signature',
    's=:AAAA:',
  ]);
  if (!received) throw new Error('no signature');
  const { trailers, requestTarget } = message;
  const head = {
    ...messageOf(message),
    ...(trailers && { trailers }),
    ...(requestTarget && { requestTarget }),
  };
  const base = signatureBase(head, received, types);
  return base.slice(0, base.lastIndexOf('\n"@signature-params"'));
}

const get = (targetUri: string, fields: RawMessage['fields'] = [], method = 'GET') => ({
  method,
  targetUri,
  fields,
});

describe('the examples of RFC 9421 §2', () => {
  const fields: RawMessage['fields'] = [
    ['Host', 'www.example.com'],
    ['Date', 'Tue, 20 Apr 2021 02:07:56 GMT'],
    ['X-OWS-Header', '  Leading and trailing whitespace.   '],
    ['X-Obs-Fold-Header', 'Obsolete\r\n    line folding.'],
    ['Cache-Control', 'max-age=60'],
    ['Cache-Control', '   must-revalidate'],
    ['Example-Dict', ' a=1,    b=2;x=1;y=2,   c=(a   b   c), d'],
    ['X-Empty-Header', ''],
    ['Example-Header', 'value, with, lots'],
    ['Example-Header', 'of, commas'],
  ];
  const message = get('https://www.example.com/', fields);

  test.each([
    ['"date"', 'Tue, 20 Apr 2021 02:07:56 GMT'],
    ['"x-ows-header"', 'Leading and trailing whitespace.'],
    ['"x-obs-fold-header"', 'Obsolete line folding.'],
    ['"cache-control"', 'max-age=60, must-revalidate'],
    ['"x-empty-header"', ''],
    ['"example-dict"', 'a=1,    b=2;x=1;y=2,   c=(a   b   c), d'],
    ['"example-dict";sf', 'a=1, b=2;x=1;y=2, c=(a b c), d'],
    ['"example-dict";key="a"', '1'],
    ['"example-dict";key="b"', '2;x=1;y=2'],
    ['"example-dict";key="c"', '(a b c)'],
    ['"example-dict";key="d"', '?1'],
    ['"example-header"', 'value, with, lots, of, commas'],
    ['"example-header";bs', ':dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:'],
  ])('the field component %s', (component, value) => {
    const types = { 'example-dict': 'dictionary' } as const;
    expect(lineOf(message, component, types)).toBe(`${component}: ${value}`);
  });

  test('one line with a comma and two lines differ under bs', () => {
    const one = get('https://a.example/', [['Example-Header', 'value, with, lots, of, commas']]);
    expect(lineOf(one, '"example-header";bs')).toBe(
      '"example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:',
    );
  });

  test('a trailer field', () => {
    const withTrailer = { ...get('https://a.example/'), trailers: ['Expires', 'Wed, 9 Nov 2022'] };
    expect(lineOf(withTrailer, '"expires";tr')).toBe('"expires";tr: Wed, 9 Nov 2022');
    expect(() => lineOf(withTrailer, '"expires"')).toThrow("found no field 'expires'");
  });

  test.each([
    ['@method', 'POST', 'https://www.example.com/path?param=value', 'POST'],
    ['@target-uri', 'POST', 'https://www.example.com/path?param=value', undefined],
    ['@authority', 'POST', 'https://WWW.example.com:443/path', 'www.example.com'],
    ['@authority', 'POST', 'https://www.example.com:8443/path', 'www.example.com:8443'],
    ['@authority', 'POST', 'http://www.example.com:80/path', 'www.example.com'],
    ['@scheme', 'POST', 'HTTPS://www.example.com/path', 'https'],
    ['@request-target', 'POST', 'https://www.example.com/path?param=value', '/path?param=value'],
    ['@path', 'GET', 'https://www.example.com/path?param=value', '/path'],
    ['@path', 'GET', 'https://www.example.com', '/'],
    [
      '@query',
      'POST',
      'https://e.example/path?param=value&foo=bar&baz=bat%2Dman',
      '?param=value&foo=bar&baz=bat%2Dman',
    ],
    ['@query', 'POST', 'https://e.example/path?queryString', '?queryString'],
    ['@query', 'POST', 'https://e.example/path', '?'],
    ['@query', 'POST', 'https://e.example/path?', '?'],
  ])('the derived component %s of %s %s', (name, method, uri, value = uri) => {
    expect(lineOf(get(uri, [], method), `"${name}"`)).toBe(`"${name}": ${value}`);
  });

  test.each(['https://www.example.com/path', 'www.example.com:80', '*'])(
    'a request target in another form: %s',
    (requestTarget) => {
      const message = { ...get('https://www.example.com/path'), requestTarget };
      expect(lineOf(message, '"@request-target"')).toBe(`"@request-target": ${requestTarget}`);
    },
  );

  test.each([
    ['https://e.example/path?param=value&foo=bar&baz=batman&qux=', 'baz', 'batman'],
    ['https://e.example/path?param=value&foo=bar&baz=batman&qux=', 'qux', ''],
    ['https://e.example/path?param=value&foo=bar&baz=batman&qux=', 'param', 'value'],
    [
      'https://e.example/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something',
      'var',
      'this%20is%20a%20big%0Amultiline%20value',
    ],
    [
      'https://e.example/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something',
      'bar',
      'with%20plus%20whitespace',
    ],
    [
      'https://e.example/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something',
      'fa%C3%A7ade%22%3A%20',
      'something',
    ],
  ])('the query parameter of %s named %s', (uri, name, value) => {
    const component = `"@query-param";name="${name}"`;
    expect(lineOf(get(uri), component)).toBe(`${component}: ${value}`);
  });
});

describe('what cannot be signed or read in one way', () => {
  const message = get('https://e.example/?a=1&a=2', [
    ['Accept', 'a'],
    ['X-Line', 'a\u0000b'],
    ['X-Ümlaut', 'é'],
  ]);

  test.each([
    ['"accept" "accept"', 'covered twice'],
    ['"accept";sf "accept";sf', "structure of 'accept' is not known"],
    ['"@query-param";name="a" "@query-param";name="a"', 'found 2 parameters'],
    ['"@query-param";name="a"', 'found 2 parameters'],
    ['"@query-param"', 'without name'],
    ['"@status"', "found '@status' of a request"],
    ['"@method";req', 'no request that this message answers'],
    ['"@nonsense"', 'no derived component'],
    ['"@signature-params"', 'no derived component'],
    ['"@method";bs', 'no parameter of'],
    ['"missing"', "found no field 'missing'"],
    ['"accept";key="a";bs', 'bs with sf'],
    ['"accept";key="z"', 'no such member'],
    ['"accept";name="z"', 'a field has no name'],
    ['"x-line"', 'characters'],
    ['"Accept"', 'no field and no derived component'],
    ['accept', 'no field and no derived component'],
    ['"accept";unknown', 'not known'],
    ['"accept";sf=1', 'not known'],
  ])('refuses %s', (component, detail) => {
    const read = () => lineOf(message, component);
    expect(read).toThrow(SdkError);
    expect(read).toThrow(detail);
  });

  test.each([
    ['s=("accept");created=1', '', 'without a signature'],
    ['', 's=:AAAA:', 'without its input'],
    ['s=("accept");created=1, s=("accept");created=2', 's=:AAAA:', 'a label twice'],
    ['s=("accept");created=1', 's=:AAAA:, s=:BBBB:', 'a label twice'],
    ['s=("accept");created=1;x=","', 's=:AAAA:', "the parameter 'x'"],
    ['s=("accept");created="now"', 's=:AAAA:', "the parameter 'created'"],
    ['s=("accept");created=1.5', 's=:AAAA:', "the parameter 'created'"],
    ['s="accept"', 's=:AAAA:', 'no list'],
    ['s=("accept")', 's="AAAA"', 'without a signature in bytes'],
    ['s=("accept"', 's=:AAAA:', 'no dictionary'],
    [Array.from({ length: 9 }, (_, at) => `s${at}=()`).join(', '), '', 'at most 8'],
    [
      `s=(${Array.from({ length: 65 }, (_, at) => `"f${at}"`).join(' ')})`,
      's=:AAAA:',
      'at most 64',
    ],
  ])('refuses Signature-Input %s with Signature %s', (input, signature, detail) => {
    const fields = [
      ...(input ? ['Signature-Input', input] : []),
      ...(signature ? ['Signature', signature] : []),
    ];
    expect(() => receivedSignatures(fields)).toThrow(detail);
  });

  test('a comma inside of a string is none between members', () => {
    const fields = ['Signature-Input', 's=("accept");nonce="a,\\",b"', 'Signature', 's=:AAAA:'];
    expect(receivedSignatures(fields)).toHaveLength(1);
  });
});
