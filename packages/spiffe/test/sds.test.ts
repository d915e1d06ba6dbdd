import { Buffer } from 'node:buffer';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { type ClientHttp2Stream, connect } from 'node:http2';
import { connect as netConnect } from 'node:net';
import { decodePem, parseSpiffeId } from '@countersign/spiffe';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { API, LEDGER, newAuthority, TRUST_DOMAIN } from './support.ts';
import { all, one, wire } from './wire.ts';
import { newRegistry, type Registry, serveWorkloads } from './workload.ts';

const SECRET = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
const SERVICE = '/envoy.service.secret.v3.SecretDiscoveryService';

let registry: Registry;
let api: Awaited<ReturnType<typeof serveWorkloads>>;
let partnerDer: Uint8Array;
const open: { close(): unknown }[] = [];

beforeEach(async () => {
  registry = await newRegistry();
  partnerDer = (await newAuthority({ trustDomain: 'partner.example' })).certificate;
  registry.state.entries = [{ spiffeId: API }, { spiffeId: LEDGER }];
  registry.state.federated = [
    {
      trustDomain: 'partner.example',
      x509Authorities: [partnerDer],
      jwtAuthorities: [],
      sequence: 1,
      refreshHintSeconds: 60,
    },
  ];
  api = await serveWorkloads(registry);
  open.push(api);
});

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

function ask(stream: ClientHttp2Stream, names: readonly string[], nonce = '', error = ''): void {
  const message = wire(
    ...names.map((name) => [3, name] as const),
    [4, SECRET],
    ...(nonce === '' ? [] : ([[5, nonce]] as const)),
    ...(error === '' ? [] : ([[6, wire([2, error])]] as const)),
  );
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  stream.write(Buffer.concat([prefix, message]));
}

/** A call without the security header, as Envoy makes it. */
function dial(method: string) {
  const session = connect('http://localhost', { createConnection: () => netConnect(api.path) });
  open.push({ close: () => session.destroy() });
  const stream = session.request({
    ':method': 'POST',
    ':path': `${SERVICE}/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const answers: { nonce: string; version: string; secrets: Map<string, Buffer> }[] = [];
  const ended: { status?: unknown; message?: unknown } = {};
  let bytes = Buffer.alloc(0);
  const note = (headers: object) => {
    const { 'grpc-status': status, 'grpc-message': message } = headers as Record<string, unknown>;
    if (status !== undefined) Object.assign(ended, { status, message });
  };
  stream
    .on('response', note)
    .on('trailers', note)
    .on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
      const message = bytes.subarray(5, 5 + bytes.readUInt32BE(1));
      bytes = bytes.subarray(5 + message.length);
      expect(one(message, 4).toString()).toBe(SECRET);
      answers.push({
        version: one(message, 1).toString(),
        nonce: all(message, 5).toString(),
        secrets: new Map(
          all(message, 2).map((any) => {
            expect(one(any, 1).toString()).toBe(SECRET);
            const secret = one(any, 2);
            return [one(secret, 1).toString(), secret];
          }),
        ),
      });
    }
  });
  return { stream, answers, ended };
}

function fetched(names: readonly string[]) {
  const { stream, answers, ended } = dial('FetchSecrets');
  ask(stream, names);
  stream.end();
  return { answers, ended };
}

/** Trust domains and authorities of Envoy's SPIFFE validator in a secret. */
function bundlesIn(secret: Buffer | undefined): [string, Buffer[]][] {
  const extension = one(secret ?? Buffer.alloc(0), 4, 12);
  expect(one(extension, 1).toString()).toBe('envoy.tls.cert_validator.spiffe');
  return all(one(extension, 2, 2), 1).map((domain) => [
    one(domain, 1).toString(),
    decodePem(one(domain, 2, 2).toString()) as Buffer[],
  ]);
}

describe("Envoy's secrets", () => {
  test("are had by SPIRE's names", async () => {
    const names = [
      'default',
      'ROOTCA',
      'ALL',
      LEDGER.uri,
      `spiffe://${TRUST_DOMAIN}`,
      'spiffe://partner.example',
    ];
    const { answers } = fetched(names);
    await eventually(() => answers.length).toBe(1);
    const secrets = answers[0]?.secrets ?? new Map<string, Buffer>();
    expect([...secrets.keys()]).toEqual(names);
    const own: [string, Buffer[]] = [TRUST_DOMAIN, [Buffer.from(registry.authority.certificate)]];
    const partner: [string, Buffer[]] = ['partner.example', [Buffer.from(partnerDer)]];
    expect(bundlesIn(secrets.get('ROOTCA'))).toEqual([own]);
    expect(bundlesIn(secrets.get('ALL'))).toEqual([own, partner]);
    expect(bundlesIn(secrets.get(`spiffe://${TRUST_DOMAIN}`))).toEqual([own]);
    expect(bundlesIn(secrets.get('spiffe://partner.example'))).toEqual([partner]);
    for (const [name, spiffeId] of [
      ['default', API],
      [LEDGER.uri, LEDGER],
    ] as const) {
      const secret = secrets.get(name) ?? Buffer.alloc(0);
      const certificate = new X509Certificate(one(secret, 2, 1, 2));
      expect(certificate.subjectAltName).toBe(`URI:${spiffeId.uri}`);
      const key = createPublicKey(createPrivateKey(one(secret, 2, 2, 2)));
      expect(certificate.publicKey.equals(key)).toBe(true);
    }
  });

  test('are all SVIDs and bundles when none is named', async () => {
    const { answers } = fetched([]);
    await eventually(() => answers.length).toBe(1);
    expect([...(answers[0]?.secrets.keys() ?? [])]).toEqual([
      API.uri,
      LEDGER.uri,
      `spiffe://${TRUST_DOMAIN}`,
      'spiffe://partner.example',
    ]);
  });

  test('of others are not had, nor by the delta protocol, nor without identity', async () => {
    const other = fetched([parseSpiffeId(`spiffe://${TRUST_DOMAIN}/admin`).uri]);
    await eventually(() => other.ended.status).toBe('3');
    const delta = dial('DeltaSecrets');
    await eventually(() => delta.ended.status).toBe('12');
    registry.state.entries = [];
    const { answers, ended } = fetched(['default']);
    await eventually(() => ended.status).toBe('7');
    expect(answers).toEqual([]);
  });

  test('are pushed after a change, with a new version; an acknowledgement brings nothing', async () => {
    const { stream, answers, ended } = dial('StreamSecrets');
    ask(stream, ['default']);
    await eventually(() => answers.length).toBe(1);
    ask(stream, ['default'], answers[0]?.nonce);
    registry.change(() => undefined);
    await eventually(() => answers.length).toBe(2);
    expect(new Set(answers.map(({ version }) => version)).size).toBe(2);
    expect(new Set(answers.map(({ nonce }) => nonce)).size).toBe(2);
    // Refused by Envoy: the same again would be refused again.
    ask(stream, ['default'], answers[1]?.nonce, 'bad certificate');
    // Stale, and with other names: about an answer that is not the last.
    ask(stream, ['ROOTCA'], answers[0]?.nonce);
    // Other names: answered.
    ask(stream, ['ROOTCA'], answers[1]?.nonce);
    await eventually(() => answers.length).toBe(3);
    expect([...(answers[2]?.secrets.keys() ?? [])]).toEqual(['ROOTCA']);
    registry.change((state) => {
      state.entries = [];
    });
    await eventually(() => ended.status).toBe('7');
    expect(answers).toHaveLength(3);
    await eventually(() => registry.listeners.size).toBe(0);
  });

  test('are kept from a stream that asks for another type', async () => {
    const { stream, ended } = dial('StreamSecrets');
    const message = wire([4, 'type.googleapis.com/envoy.config.cluster.v3.Cluster']);
    stream.write(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
    await eventually(() => ended.status).toBe('3');
  });
});
