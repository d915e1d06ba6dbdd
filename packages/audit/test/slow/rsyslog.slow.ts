import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { syslogSink } from '@countersign/audit';
import { freePort } from '@countersign/test-support/free-port';
import { expect, test } from 'vitest';
import { caughtUp, exporting, sourceOf, until } from '../support/exporting.ts';
import { appendEvents, decision, gateway, temporaryFolder } from '../support/points.ts';
import { testCertificates } from '../support/test-certificates.ts';

const RSYSLOG = '/usr/sbin/rsyslogd';
const missing =
  existsSync(RSYSLOG) && hasTls() ? undefined : 'found no rsyslogd with gnutls (rsyslog-gnutls)';
if (missing && !process.env['CI']) console.log(`skipped: ${missing}`);

function hasTls(): boolean {
  try {
    return execFileSync('dpkg', ['-L', 'rsyslog-gnutls']).includes('lmnsd_gtls.so');
  } catch {
    return false;
  }
}

test.skipIf(missing !== undefined && !process.env['CI'])(
  'rsyslog takes every message over TLS with its fields, also when it is killed and comes back',
  async () => {
    const { folder, remove } = temporaryFolder();
    const certificates = await testCertificates();
    const port = await freePort();
    const out = join(folder, 'out.ndjson');
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    mkdirSync(join(folder, 'work'));
    const config = file(
      'rsyslog.conf',
      `global(workDirectory="${folder}/work" maxMessageSize="64k"
  defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="${file('ca.pem', certificates.ca)}"
  defaultNetstreamDriverCertFile="${file('cert.pem', certificates.server.certificate)}"
  defaultNetstreamDriverKeyFile="${file('key.pem', certificates.server.key)}")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
input(type="imtcp" address="127.0.0.1" port="${port}")
template(name="line" type="list") {
  constant(value="{\\"pri\\":")      property(name="pri")
  constant(value=",\\"host\\":\\"")  property(name="hostname")
  constant(value="\\",\\"app\\":\\"") property(name="app-name")
  constant(value="\\",\\"id\\":\\"")  property(name="msgid")
  constant(value="\\",\\"msg\\":")   property(name="msg")
  constant(value="}\\n")
}
action(type="omfile" file="${out}" template="line" flushOnTXEnd="on")
`,
    );
    let rsyslog: ChildProcess | undefined;
    const start = async () => {
      const words = ['-n', '-f', config, '-i', join(folder, 'rsyslog.pid')];
      rsyslog = spawn(RSYSLOG, words, { stdio: 'inherit' });
      await listening(port);
    };
    const log = await gateway.open(join(folder, 'log'));
    const sink = syslogSink({
      ...{ host: '127.0.0.1', port, ca: certificates.ca, hostname: 'authority.bank.example' },
      ...certificates.client,
    });
    const lines = () =>
      existsSync(out) ? readFileSync(out, 'utf8').trimEnd().split('\n').filter(Boolean) : [];
    try {
      await start();
      await appendEvents(log, [decision('umlaut', { detail: 'Zoë "€"\n' })]);
      const { exporter } = await exporting(join(folder, 'export'), {
        sink,
        sources: () => [sourceOf(log)],
      });
      await caughtUp(exporter, log);
      await until(() => lines().length > 0, 'the first message');
      expect(JSON.parse(lines()[0] ?? '')).toMatchObject({
        ...{ pri: 13 * 8 + 6, host: 'authority.bank.example', app: 'countersign', id: 'decision' },
        msg: { metadata: { sequence: 0 }, status_detail: 'Zoë "€"\n' },
      });

      rsyslog?.kill('SIGKILL');
      await once(rsyslog as ChildProcess, 'exit');
      await appendEvents(
        log,
        Array.from({ length: 300 }, (_, at) => decision(`d${at}`)),
      );
      await until(() => exporter.status().trouble !== undefined, 'trouble');
      await start();
      await caughtUp(exporter, log);
      await exporter.close();
      const sequences = () =>
        new Set(lines().map((line) => JSON.parse(line).msg.metadata.sequence));
      await until(() => sequences().size === 301, 'all messages');
    } finally {
      rsyslog?.kill('SIGKILL');
      await log.close();
      remove();
    }
  },
);

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('found rsyslogd not listening after 10 s');
}
