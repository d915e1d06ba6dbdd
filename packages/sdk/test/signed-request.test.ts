import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  acceptSignature,
  contentDigest,
  isSignatureOf,
  keyThumbprint,
  type RequestMessage,
  readSignedRequest,
  type SignedRequest,
  signMessage,
  signRequest,
} from '@countersign/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

type SignOptions = Parameters<typeof signRequest>[1];

const NOW = 1_790_000_000_000;
const URL = 'https://api.bank.example/payments-api/domestic-payments?trace=1';
const BODY = '{"Data":{"Amount":"5.00"}}';
const TOKEN = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln';
const keys = {
  ed25519: generateKeyPairSync('ed25519'),
  'ecdsa-p256-sha256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'rsa-pss-sha512': generateKeyPairSync('rsa', { modulusLength: 2048 }),
};
const { privateKey: KEY } = keys['ecdsa-p256-sha256'];

type Headers = Record<string, string>;

function messageOf(headers: Headers, { method = 'POST', url = URL } = {}): RequestMessage {
  return { kind: 'request', method, targetUri: url, fields: Object.entries(headers).flat() };
}

function read(
  message: RequestMessage,
  more: Partial<Parameters<typeof readSignedRequest>[1]> = {},
) {
  const options = { nowMs: NOW, skewMs: 5000, hasContent: true, isProofVerified: false };
  return readSignedRequest(message, { ...options, ...more });
}

function signed(
  headers: Headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
  {
    body = BODY,
    key = KEY,
    ...options
  }: { body?: string | null; key?: KeyObject | string; tag?: NonNullable<SignOptions['tag']> } = {},
): Headers {
  const request = { method: 'POST', url: URL, headers, body };
  return { ...headers, ...signRequest(request, { key, now: () => NOW, ...options }) };
}

function fit(found: ReturnType<typeof readSignedRequest>): SignedRequest {
  if (found.kind === 'unfit') throw new Error(found.detail);
  return found;
}

describe('a request that the helper signed', () => {
  test.each(Object.entries(keys))('verifies with %s', (_algorithm, { privateKey, publicKey }) => {
    const found = fit(read(messageOf(signed(undefined, { key: privateKey }))));
    expect(isSignatureOf(found.base, found.signature, publicKey)).toBe(true);
    expect(found.keyId).toBe(keyThumbprint(publicKey));
    expect(found).toMatchObject({ createdMs: NOW, tag: 'countersign-request', withheld: [] });
  });

  test('covers method, target, token by its hash, content and what makes it one of its kind', () => {
    const headers = { Authorization: `Bearer ${TOKEN}`, 'X-Idempotency-Key': '7', Accept: '*/*' };
    const found = fit(read(messageOf(signed(headers))));
    const digest = createHash('sha256').update(TOKEN).digest('base64');
    expect(found.base.split('\n').slice(0, -1)).toEqual([
      '"@method": POST',
      `"@target-uri": ${URL}`,
      `"token-digest": authorization=:${digest}:`,
      `"content-digest": ${contentDigest(BODY)}`,
      '"x-idempotency-key": 7',
    ]);
    expect(found.base).not.toContain(TOKEN);
    expect(found.recordable).toBe(found.base);
  });

  test('is never the same twice', () => {
    expect(signed()['signature-input']).not.toBe(signed()['signature-input']);
  });

  test('takes a key in PEM', () => {
    const key = KEY.export({ format: 'pem', type: 'pkcs8' }) as string;
    expect(read(messageOf(signed(undefined, { key })))).toMatchObject({ kind: 'signed' });
  });

  test('names the token through the DPoP proof, when that was verified', () => {
    const headers = { authorization: `DPoP ${TOKEN}`, dpop: 'a.b.c' };
    const message = messageOf(signed(headers));
    expect(message.fields).not.toContain('token-digest');
    expect(fit(read(message, { isProofVerified: true })).base).toContain('"dpop": a.b.c\n');
    expect(read(message)).toEqual({
      kind: 'unfit',
      detail: "it does not cover 'authorization' nor 'token-digest'",
    });
  });

  test('without content covers no digest, and needs none', () => {
    const message = messageOf(signed(undefined, { body: null }));
    expect(fit(read(message, { hasContent: false })).content).toBeUndefined();
    expect(read(message)).toMatchObject({ detail: "it does not cover 'content-digest'" });
  });

  test('by FAPI covers the token itself, of which only a hash may be kept', () => {
    const found = fit(read(messageOf(signed(undefined, { tag: 'fapi-2-request' }))));
    const sha256 = createHash('sha256').update(TOKEN).digest('base64url');
    expect(found.base).toContain(`"authorization": Bearer ${TOKEN}\n`);
    expect(found.recordable).toBe(found.base.replace(TOKEN, sha256));
    expect(found.withheld).toEqual([{ field: 'authorization', before: 'Bearer ', sha256 }]);
  });

  test('of a workload within a transaction names the transaction token by its hash', () => {
    const found = fit(read(messageOf(signed({ 'txn-token': TOKEN }))));
    expect(found.base).toContain('"token-digest": txn-token=:');
  });

  test.each(['signature', 'Signature-Input', 'content-digest', 'Token-Digest'])(
    'is refused with a field %s of its own',
    (name) => {
      expect(() => signed({ [name]: 'x' })).toThrow(`'${name.toLowerCase()}' already`);
    },
  );

  test.each([
    generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    generateKeyPairSync('ed448').privateKey,
    generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey,
    'no key',
  ])('is refused with a key that none of the algorithms is for', (key) => {
    expect(() => signed(undefined, { key })).toThrow(
      expect.objectContaining({ code: 'ERR_SDK_OPTIONS_INVALID' }),
    );
  });
});

describe('the strict profile', () => {
  const base = { authorization: `Bearer ${TOKEN}`, 'content-digest': contentDigest(BODY) };
  const COMPONENTS = ['@method', '@target-uri', 'authorization', 'content-digest'];
  const PARAMETERS = { created: NOW / 1000, keyid: 'k', tag: 'countersign-request' };

  function made(
    components: readonly string[] = COMPONENTS,
    parameters: object = PARAMETERS,
    headers: Headers = base,
  ): Headers {
    const signature = signMessage(messageOf(headers), {
      key: KEY,
      components,
      parameters: parameters as typeof PARAMETERS,
    });
    return {
      ...headers,
      'signature-input': signature.signatureInput,
      signature: signature.signature,
    };
  }

  test('takes what a client of another make signs', () => {
    const found = fit(read(messageOf(made())));
    expect(isSignatureOf(found.base, found.signature, keys['ecdsa-p256-sha256'].publicKey)).toBe(
      true,
    );
  });

  test.each(COMPONENTS.map((name) => [name]))('refuses one that does not cover %s', (name) => {
    const found = read(messageOf(made(COMPONENTS.filter((each) => each !== name))));
    expect(found).toMatchObject({ kind: 'unfit', detail: expect.stringContaining(`'${name}'`) });
  });

  test.each([
    [{ keyid: 'k', tag: 'countersign-request' }, 'it has no created'],
    [{ created: NOW / 1000, tag: 'countersign-request' }, 'no keyid'],
    [{ created: NOW / 1000, keyid: 'k' }, 'its tag is none of'],
    [{ ...PARAMETERS, tag: 'another' }, 'its tag is none of'],
    [{ ...PARAMETERS, expires: NOW / 1000 - 5 }, 'it has expired'],
    [{ ...PARAMETERS, keyid: 'k'.repeat(257) }, 'keyid'],
    [{ ...PARAMETERS, nonce: 'n'.repeat(257) }, 'nonce'],
    [{ ...PARAMETERS, created: NOW / 1000 - 61 }, 'more than a minute ago'],
    [{ ...PARAMETERS, created: NOW / 1000 + 6 }, 'in the future'],
  ])('refuses the parameters %j', (parameters, detail) => {
    expect(read(messageOf(made(undefined, parameters)))).toMatchObject({
      kind: 'unfit',
      detail: expect.stringContaining(detail),
    });
  });

  test.each([
    { ...PARAMETERS, created: NOW / 1000 - 60 },
    { ...PARAMETERS, created: NOW / 1000 + 5 },
    { ...PARAMETERS, expires: NOW / 1000 - 4 },
    { ...PARAMETERS, keyid: 'k'.repeat(256) },
  ])('takes the last that is good: %j', (parameters) => {
    expect(read(messageOf(made(undefined, parameters))).kind).toBe('signed');
  });

  test.each([
    [['cookie'], { cookie: 'secret' }, 'it covers "cookie", which it may not'],
    [['"content-type";bs'], { 'content-type': 'a' }, 'with parameters'],
    [['"@query-param";name="trace"'], {}, 'which it may not'],
    [['token-digest'], { 'token-digest': 'authorization=:AAAA:' }, 'not of the tokens'],
  ])('refuses one that covers %s', (components, headers, detail) => {
    const message = messageOf(
      made([...COMPONENTS, ...components], undefined, { ...base, ...headers }),
    );
    expect(read(message)).toMatchObject({ kind: 'unfit', detail: expect.stringContaining(detail) });
  });

  test.each(['authorization', 'content-digest', 'signature', 'signature-input'])(
    'refuses a second field %s, whichever of the two was signed',
    (name) => {
      const message = messageOf(made());
      const at = message.fields.indexOf(name);
      const value = message.fields[at + 1] as string;
      const fields = [...message.fields, name, name === 'signature' ? 'other=:AAAA:' : value];
      expect(read({ ...message, fields }).kind).toBe('unfit');
    },
  );

  describe('of a field that is covered', () => {
    const headers = { ...base, 'x-idempotency-key': '7', date: 'today' };
    const good = messageOf(made([...COMPONENTS, 'x-idempotency-key'], undefined, headers));
    const withField = (name: string, value: string) =>
      read({ ...good, fields: [...good.fields, name, value] });

    test.each([
      'x-idempotency-key',
      'close, X-Idempotency-Key',
      'x_idempotency_key',
      'keep-alive ,content-digest',
    ])('refuses one that Connection names: %s', (options) => {
      expect(withField('Connection', options)).toMatchObject({
        kind: 'unfit',
        detail: expect.stringContaining("'connection' names"),
      });
    });

    test.each(['X_Idempotency_Key', 'x-idempotency_key', 'Content_Digest'])(
      'refuses another that some readers take for it: %s',
      (name) => {
        expect(withField(name, '8')).toMatchObject({
          kind: 'unfit',
          detail: expect.stringContaining(`some readers take '${name.toLowerCase()}' for`),
        });
      },
    );

    test('takes what concerns no covered field', () => {
      for (const options of ['close', 'keep-alive, date', 'x-idempotency']) {
        expect(withField('Connection', options).kind).toBe('signed');
      }
      expect(withField('X_Request_Id', '8').kind).toBe('signed');
    });
  });

  test('refuses two signatures, though both be good', () => {
    const one = made();
    const two = made();
    const message = messageOf({
      ...one,
      'signature-input': `${one['signature-input']}, ${two['signature-input']?.replace('sig1', 'sig2')}`,
      signature: `${one['signature']}, ${two['signature']?.replace('sig1', 'sig2')}`,
    });
    expect(read(message)).toEqual({ kind: 'unfit', detail: '2 signatures, expected one' });
  });

  test('refuses a token by which FAPI is claimed and only its hash covered', () => {
    const headers = signed();
    const input =
      headers['signature-input']?.replace('countersign-request', 'fapi-2-request') ?? '';
    expect(read(messageOf({ ...headers, 'signature-input': input }))).toEqual({
      kind: 'unfit',
      detail: "it does not cover 'authorization'",
    });
  });

  test('never throws, whatever the fields hold, and never takes what was not signed', () => {
    const names = [
      'signature-input',
      'signature',
      'authorization',
      'dpop',
      'content-digest',
      'txn-token',
    ];
    const good = made();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...names), fc.string({ unit: 'binary-ascii' })), {
          maxLength: 4,
        }),
        fc.constantFrom(...names, 'none'),
        (more, dropped) => {
          const kept = Object.entries(good).filter(([name]) => name !== dropped);
          const message = { ...messageOf({}), fields: [...kept, ...more].flat() };
          const found = read(message);
          if (found.kind === 'signed' && more.length + Number(dropped !== 'none') > 0) {
            // What is taken in spite of a change is what was signed.
            expect(found.base).toBe(fit(read(messageOf(good))).base);
          }
        },
      ),
    );
  });
});

test('what a surface asks for is what the helper signs', () => {
  const headers = { authorization: `Bearer ${TOKEN}` };
  const asked = acceptSignature(messageOf(headers), { hasContent: true });
  expect(asked).toBe(
    'sig=("@method" "@target-uri" "token-digest" "content-digest");created;tag="countersign-request"',
  );
  expect(signed(headers)['signature-input']).toContain(asked.slice(0, asked.indexOf(';')));
  expect(
    acceptSignature(messageOf({ dpop: 'a', authorization: 'DPoP a' }), { hasContent: false }),
  ).toBe('sig=("@method" "@target-uri" "dpop");created;tag="countersign-request"');
});
