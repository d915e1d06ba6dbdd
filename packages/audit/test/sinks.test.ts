import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { type ExportSink, fileSink, httpsSink, otlpSink, syslogSink } from '@countersign/audit';
import type { Log } from '@countersign/ledger';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { caughtUp, deadLettersIn, exporting, sourceOf, until } from './support/exporting.ts';
import { appendEvents, decision, gateway, NOW, temporaryFolder } from './support/points.ts';
import { startReceiver, uidsOf } from './support/receiver.ts';
import { type TestCertificates, testCertificates } from './support/test-certificates.ts';

let certificates: TestCertificates;
let root: string;
let remove: () => void;
let log: Log;

beforeAll(async () => {
  certificates = await testCertificates();
});
beforeEach(async () => {
  ({ folder: root, remove } = temporaryFolder());
  log = await gateway.open(join(root, 'gateway'));
});
afterEach(async () => {
  await log.close();
  remove();
});

const some = (count: number) => Array.from({ length: count }, (_, at) => decision(`d${at}`));
const uid = (seq: number) => `${gateway.origin}/${seq}`;
const uids = (count: number) => Array.from({ length: count }, (_, seq) => uid(seq));

/** Exports the log to a sink until the cursor is at its end. */
async function exportAll(sink: ExportSink) {
  const folder = join(root, 'export');
  const running = await exporting(folder, { sink, sources: () => [sourceOf(log)] });
  await caughtUp(running.exporter, log);
  await running.exporter.close();
  return { ...running, folder };
}

test('HTTPS: batches of NDJSON, gzipped, over TLS that both sides prove themselves on, with a token', async () => {
  await appendEvents(log, some(7));
  const receiver = await startReceiver(certificates);
  let tokens = 0;
  const sink = httpsSink({
    ...{ url: `${receiver.url}/ingest?tenant=1`, ca: certificates.ca, now: Date.now },
    ...certificates.client,
    bearerToken: () => `token-${++tokens}`,
    headers: { 'x-scope-orgid': 'bank' },
    batchCountMax: 3,
  });
  await exportAll(sink);
  await receiver.stop();
  expect(receiver.requests.flatMap(({ body }) => uidsOf(body))).toEqual(uids(7));
  expect(receiver.requests.length).toBe(3);
  expect(receiver.requests[2]).toMatchObject({
    path: '/ingest?tenant=1',
    client: expect.stringContaining('URI:spiffe://siem.example/exporter'),
    headers: {
      ...{ 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' },
      ...{ authorization: 'Bearer token-3', 'x-scope-orgid': 'bank' },
    },
  });
});

test('HTTPS: as an array, where the receiver wants one', async () => {
  await appendEvents(log, some(2));
  const receiver = await startReceiver(certificates);
  await exportAll(
    httpsSink({ url: receiver.url, ca: certificates.ca, now: Date.now, format: 'json' }),
  );
  await receiver.stop();
  const [request] = receiver.requests;
  expect(request?.headers['content-type']).toBe('application/json');
  expect(JSON.parse(request?.body ?? '').map((each: { time: number }) => each.time)).toEqual([
    NOW,
    NOW,
  ]);
});

test('HTTPS: what each status means', async () => {
  const now = () => Date.parse('2026-11-26T10:00:00Z');
  const statuses: readonly [number, object, object][] = [
    [200, {}, { kind: 'taken' }],
    [202, {}, { kind: 'taken' }],
    [400, {}, { kind: 'refused', code: 'http-400' }],
    [413, {}, { kind: 'refused', code: 'http-413' }],
    [422, {}, { kind: 'refused', code: 'http-422' }],
    [302, { location: 'https://elsewhere.example/' }, { kind: 'later', code: 'http-302' }],
    [401, {}, { kind: 'later', code: 'http-401' }],
    [404, {}, { kind: 'later', code: 'http-404' }],
    [429, { 'retry-after': '7' }, { kind: 'later', code: 'http-429', afterMs: 7000 }],
    [
      ...([503, { 'retry-after': 'Thu, 26 Nov 2026 10:00:30 GMT' }] as const),
      { kind: 'later', code: 'http-503', afterMs: 30_000 },
    ],
    [503, { 'retry-after': 'soon' }, { kind: 'later', code: 'http-503' }],
    [500, {}, { kind: 'later', code: 'http-500' }],
  ];
  for (const [status, headers, expected] of statuses) {
    const receiver = await startReceiver(certificates, () => ({
      ...{ status, headers: headers as Record<string, string> },
      body: 'a\nb\u0007c',
    }));
    const sink = httpsSink({ url: receiver.url, ca: certificates.ca, now });
    const record = { origin: 'o', seq: 0, event: {} as never, json: '{}' };
    const { body: _body, ...answer } = (await sink.send(
      [record],
      new AbortController().signal,
    )) as {
      body?: string;
    };
    await sink.close();
    await receiver.stop();
    expect(answer).toEqual({
      ...expected,
      ...(status < 300 ? {} : { detail: 'a b c' }),
    });
  }
});

test('HTTPS: a receiver whose certificate another authority signed gets nothing', async () => {
  await appendEvents(log, some(1));
  const receiver = await startReceiver(certificates);
  const others = await testCertificates();
  const sink = httpsSink({ url: receiver.url, ca: others.ca, now: Date.now });
  const { exporter } = await exporting(join(root, 'export'), {
    sink,
    sources: () => [sourceOf(log)],
  });
  await until(() => (exporter.status().trouble?.attempts ?? 0) > 1);
  expect(exporter.status()).toMatchObject({ pending: 1, cursors: {} });
  await exporter.close();
  await receiver.stop();
  expect(receiver.requests).toEqual([]);
});

test('HTTPS: refuses a URL that would send events in the clear, or holds a password', () => {
  for (const url of [
    'http://siem.example/',
    'ftp://x/',
    'https://u:secret@x/',
    'x',
    'http://127.0.0.1.example/',
  ]) {
    expect(() => httpsSink({ url, now: Date.now })).toThrow(
      expect.objectContaining({ code: 'ERR_AUDIT_SINK_INVALID' }),
    );
  }
  expect(() => httpsSink({ url: 'https://u:secret@x/', now: Date.now })).toThrow(/^(?!.*secret)/);
  for (const url of ['http://127.0.0.1:1/', 'http://[::1]:1/', 'https://siem.example/x']) {
    expect(() => httpsSink({ url, now: Date.now })).not.toThrow();
  }
});

test('HTTPS: the receiver finds the one event that it refuses, and gets all others', async () => {
  await appendEvents(log, some(9));
  const receiver = await startReceiver(certificates, ({ body }) =>
    uidsOf(body).includes(uid(5)) ? { status: 400, body: 'event 5 is odd' } : { status: 200 },
  );
  const { folder } = await exportAll(
    httpsSink({ url: receiver.url, ca: certificates.ca, now: Date.now }),
  );
  await receiver.stop();
  const taken = receiver.requests.flatMap(({ body }) =>
    uidsOf(body).includes(uid(5)) ? [] : uidsOf(body),
  );
  expect(taken).toEqual(uids(9).filter((each) => each !== uid(5)));
  expect(deadLettersIn(folder)).toMatchObject([
    { seq: 5, code: 'http-400', detail: 'event 5 is odd' },
  ]);
});

test('files: each event a line, a new file by size and by day, none larger than the bound', async () => {
  const folder = join(root, 'files');
  let nowMs = Date.parse('2026-11-26T23:59:59Z');
  const sink = fileSink({ folder, fileBytesMax: 4000, now: () => nowMs });
  const running = await exporting(join(root, 'export'), { sink, sources: () => [sourceOf(log)] });
  for (let round = 0; round < 6; round++) {
    await appendEvents(log, some(2));
    await caughtUp(running.exporter, log);
    if (round === 3) nowMs += 2000;
  }
  await running.exporter.close();
  const files = readdirSync(folder).sort();
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8'));
  expect(texts.flatMap((text) => uidsOf(text))).toEqual(uids(12));
  expect(texts.every((text) => text.length <= 4000 && text.endsWith('\n'))).toBe(true);
  expect(files.at(0)).toBe('2026-11-26.0001.ndjson');
  expect(files.at(-1)).toMatch(/^2026-11-27\.000\d\.ndjson$/);
  expect(files.filter((file) => file.startsWith('2026-11-26')).length).toBeGreaterThan(1);
});

test('files: goes on in the last file, without the line that a crash cut off', async () => {
  const folder = join(root, 'files');
  const now = () => NOW;
  await appendEvents(log, some(2));
  await exportAll(fileSink({ folder, now }));
  const [file = ''] = readdirSync(folder);
  appendFileSync(join(folder, file), '{"metadata":{"uid":"tor');
  await appendEvents(log, some(1));
  await exportAll(fileSink({ folder, now }));
  expect(readdirSync(folder)).toEqual([file]);
  expect(uidsOf(readFileSync(join(folder, file), 'utf8'))).toEqual(uids(3));
  // Nothing but a torn line, longer than what is read at once.
  truncateSync(join(folder, file), 0);
  appendFileSync(join(folder, file), 'x'.repeat(3 * 1024 * 1024));
  await appendEvents(log, some(1));
  await exportAll(fileSink({ folder, now }));
  expect(uidsOf(readFileSync(join(folder, file), 'utf8'))).toEqual([uid(3)]);
});

test('files: after a write that failed the batch goes to a new file', async () => {
  const folder = join(root, 'files');
  mkdirSync(folder);
  const day = new Date(NOW).toISOString().slice(0, 10);
  // A disk that is full, as Linux has one.
  symlinkSync('/dev/full', join(folder, `${day}.0001.ndjson`));
  await appendEvents(log, some(2));
  const { backOffs } = await exportAll(fileSink({ folder, now: () => NOW }));
  expect(backOffs().length).toBe(1);
  const text = readFileSync(join(folder, `${day}.0002.ndjson`), 'utf8');
  expect(uidsOf(text)).toEqual(uids(2));
});

test('files: a folder that cannot be written to is asked again, and nothing is lost', async () => {
  writeFileSync(join(root, 'taken'), '');
  await appendEvents(log, some(1));
  const sink = fileSink({ folder: join(root, 'taken', 'files'), now: () => NOW });
  const { exporter } = await exporting(join(root, 'export'), {
    sink,
    sources: () => [sourceOf(log)],
  });
  await until(() => (exporter.status().trouble?.attempts ?? 0) > 1);
  expect(exporter.status()).toMatchObject({ trouble: { code: 'ENOTDIR' }, cursors: {} });
  await exporter.close();
});

/** RFC 5424 §6, with octet counting before it; the message is what is left. */
const SYSLOG = /^<(\d{1,3})>1 (\S+) (\S+) (\S+) (\S+) (\S+) (-|\[.*\]) (.*)$/;

function framesOf(stream: Buffer): { priority: number; fields: string[]; message: string }[] {
  const frames = [];
  for (let at = 0; at < stream.length; ) {
    const space = stream.indexOf(0x20, at);
    const length = Number(stream.toString('latin1', at, space));
    const text = stream.toString('latin1', space + 1, space + 1 + length);
    const match = SYSLOG.exec(text);
    if (!match || Buffer.byteLength(text, 'latin1') !== length) throw new Error(`found '${text}'`);
    const [, priority, ...fields] = match;
    frames.push({ priority: Number(priority), fields, message: fields.at(-1) ?? '' });
    at = space + 1 + length;
  }
  return frames;
}

async function startSyslog() {
  const { certificate: cert, key } = certificates.server;
  const chunks: Buffer[] = [];
  const sockets: TLSSocket[] = [];
  const server = createServer({ cert, key, ca: certificates.ca, requestCert: true }, (socket) => {
    sockets.push(socket);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    frames: () => framesOf(Buffer.concat(chunks)),
    clear: () => chunks.splice(0),
    async stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

test('syslog: RFC 5424 messages under octet counting over TLS, ASCII, with the severity of the event', async () => {
  await appendEvents(log, [
    decision('a', { detail: 'Zoë "€" \u{1f512}\n' }),
    { kind: 'alarm', alarm: 'log-fork', detail: 'x' },
  ]);
  const server = await startSyslog();
  const sink = syslogSink({
    ...{ host: '127.0.0.1', port: server.port, ca: certificates.ca, hostname: 'au thö.example' },
    ...certificates.client,
  });
  await exportAll(sink);
  await until(() => server.frames().length === 2);
  const [first, second] = server.frames();
  await server.stop();
  const at = new Date(NOW).toISOString();
  expect(first?.fields.slice(0, 6)).toEqual([
    at,
    'auth.example',
    'countersign',
    '-',
    'decision',
    '-',
  ]);
  expect(first?.message).toMatch(/^[\x20-\x7e]+$/);
  expect(JSON.parse(first?.message ?? '')).toMatchObject({
    metadata: { uid: uid(0) },
    status_detail: 'Zoë "€" \u{1f512}\n',
  });
  // Facility 13 (log audit): informational 6, critical 2.
  expect([first?.priority, second?.priority]).toEqual([13 * 8 + 6, 13 * 8 + 2]);
});

test('syslog: what was sent over a connection that was lost is sent again over the next', async () => {
  await appendEvents(log, some(3));
  const server = await startSyslog();
  const sink = syslogSink({
    ...{ host: '127.0.0.1', port: server.port, ca: certificates.ca, hostname: 'h' },
    ...certificates.client,
  });
  const { exporter } = await exporting(join(root, 'export'), {
    sink,
    sources: () => [sourceOf(log)],
  });
  await until(() => server.sockets.length === 1);
  server.sockets[0]?.destroy();
  server.clear();
  await caughtUp(exporter, log);
  await exporter.close();
  await until(() => server.frames().length === 3);
  expect(server.sockets.length).toBe(2);
  await server.stop();
});

test('syslog: a message that receivers would cut is set aside', async () => {
  await appendEvents(log, [
    decision('a'),
    decision('b', { detail: 'x'.repeat(900) }),
    decision('c'),
  ]);
  const server = await startSyslog();
  const sink = syslogSink({
    ...{ host: '127.0.0.1', port: server.port, ca: certificates.ca, hostname: 'h' },
    ...certificates.client,
    messageBytesMax: 2000,
  });
  const { folder } = await exportAll(sink);
  await until(() => server.frames().length === 2);
  await server.stop();
  expect(deadLettersIn(folder)).toMatchObject([{ seq: 1, code: 'too-large' }]);
});

test('syslog: a receiver whose certificate another authority signed gets nothing', async () => {
  await appendEvents(log, some(1));
  const server = await startSyslog();
  const { ca } = await testCertificates();
  const { client } = certificates;
  const sink = syslogSink({ host: '127.0.0.1', port: server.port, ca, ...client, hostname: 'h' });
  const { exporter } = await exporting(join(root, 'export'), {
    sink,
    sources: () => [sourceOf(log)],
  });
  await until(() => (exporter.status().trouble?.attempts ?? 0) > 1);
  await exporter.close();
  expect(server.frames()).toEqual([]);
  await server.stop();
});

test('OTLP: a resource for the log, a record for each event, named so that duplicates are seen', async () => {
  await appendEvents(log, [
    decision('a', { factsAgeMs: 1.5 }),
    { kind: 'alarm', alarm: 'x', detail: 'y' },
  ]);
  const receiver = await startReceiver(certificates, () => ({ status: 200, body: '{}' }));
  const url = `${receiver.url}/v1/logs`;
  const now = () => NOW + 5;
  await exportAll(otlpSink({ url, ca: certificates.ca, now, version: '0.1.0' }));
  await receiver.stop();
  const [request] = receiver.requests;
  expect(request).toMatchObject({
    path: '/v1/logs',
    headers: { 'content-type': 'application/json' },
  });
  const { resourceLogs } = JSON.parse(request?.body ?? '');
  expect(resourceLogs).toMatchObject([
    {
      resource: {
        attributes: [
          { key: 'service.name', value: { stringValue: 'countersign' } },
          { key: 'service.version', value: { stringValue: '0.1.0' } },
          { key: 'countersign.log.origin', value: { stringValue: gateway.origin } },
        ],
      },
      scopeLogs: [
        {
          scope: { name: 'countersign', version: '0.1.0' },
          logRecords: [
            {
              timeUnixNano: `${NOW}000000`,
              observedTimeUnixNano: `${NOW + 5}000000`,
              ...{ severityNumber: 9, severityText: 'INFO', eventName: 'countersign.decision' },
            },
            { severityNumber: 17, severityText: 'ERROR', eventName: 'countersign.alarm' },
          ],
        },
      ],
    },
  ]);
  const [record] = resourceLogs[0].scopeLogs[0].logRecords;
  expect(record.attributes).toContainEqual({
    key: 'log.record.uid',
    value: { stringValue: uid(0) },
  });
  const values = record.body.kvlistValue.values as { key: string; value: object }[];
  expect(values).toContainEqual({ key: 'class_uid', value: { intValue: '6003' } });
  expect(JSON.stringify(values)).toContain('{"key":"factsAgeMs","value":{"doubleValue":1.5}}');
});

test('OTLP: a partial success is not sent again; a warning without a count is no loss', async () => {
  await appendEvents(log, some(3));
  const answers = [
    { partialSuccess: { rejectedLogRecords: '2', errorMessage: 'too old' } },
    { partialSuccess: { rejectedLogRecords: '0', errorMessage: 'a warning' } },
    { partialSuccess: {} },
  ];
  const receiver = await startReceiver(certificates, (_request, count) => ({
    status: 200,
    body: JSON.stringify(answers[count - 1]),
  }));
  const sink = otlpSink({ url: receiver.url, ca: certificates.ca, now: Date.now });
  const running = await exporting(join(root, 'export'), { sink, sources: () => [sourceOf(log)] });
  await caughtUp(running.exporter, log);
  for (let round = 0; round < 2; round++) {
    await appendEvents(log, some(1));
    await caughtUp(running.exporter, log);
  }
  await running.exporter.close();
  await receiver.stop();
  expect(receiver.requests.length).toBe(3);
  expect(deadLettersIn(join(root, 'export'))).toMatchObject([
    { seq: 0, through: 2, count: 2, code: 'partial', detail: 'too old' },
  ]);
});
