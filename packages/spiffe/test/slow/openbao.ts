import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@countersign/test-support/free-port';
import { openssl } from '../support.ts';
import { run, tool } from './tools.ts';

export const BAO = tool('bao');

/** An OpenBao on loopback, unsealed, with TLS below a CA of its own, for as long as a test wants it. */
export async function startOpenBao() {
  const folder = mkdtempSync(join(tmpdir(), 'openbao-'));
  const at = (name: string): string => join(folder, name);
  newTlsFiles(at);
  const port = await freePort();
  const config = at('bao.hcl');
  writeFileSync(
    config,
    `storage "inmem" {}
    disable_mlock = true
    listener "tcp" {
      address = "127.0.0.1:${port}"
      tls_cert_file = "${at('server.pem')}"
      tls_key_file = "${at('server.key')}"
    }`,
  );
  const address = `https://127.0.0.1:${port}`;
  const child = spawn(BAO, ['server', `-config=${config}`], { stdio: 'ignore' });
  const env: Record<string, string> = { BAO_ADDR: address, BAO_CACERT: at('ca.pem') };
  const bao = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await run(BAO, [...args], { env: { PATH: process.env['PATH'], ...env } });
    return stdout;
  };
  const init = ['operator', 'init', '-key-shares=1', '-key-threshold=1', '-format=json'];
  const made = JSON.parse(await eventually(() => bao(...init))) as {
    unseal_keys_b64: string[];
    root_token: string;
  };
  const unseal = () => bao('operator', 'unseal', made.unseal_keys_b64[0] ?? '');
  await unseal();
  env['BAO_TOKEN'] = made.root_token;
  await eventually(() => bao('secrets', 'list'));
  return {
    folder,
    address,
    /** PEM of the CA of its TLS. */
    ca: readFileSync(at('ca.pem'), 'utf8'),
    /** Of a client that the CA certified. */
    client: {
      cert: readFileSync(at('client.pem'), 'utf8'),
      key: readFileSync(at('client.key'), 'utf8'),
    },
    clientFile: at('client.pem'),
    bao,
    json: async (...args: readonly string[]) =>
      JSON.parse(await bao(...args, '-format=json')) as Record<string, unknown>,
    unseal,
    stop: async () => {
      const closed = once(child, 'close');
      child.kill();
      await closed;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function newTlsFiles(at: (name: string) => string): void {
  const newKey = (name: string) =>
    openssl([
      ...['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      ...['-out', at(`${name}.key`)],
    ]);
  newKey('ca');
  openssl([
    ...['req', '-new', '-x509', '-subj', '/CN=TLS CA', '-key', at('ca.key'), '-out', at('ca.pem')],
    ...['-addext', 'basicConstraints=critical,CA:TRUE', '-days', '2'],
  ]);
  for (const [name, extension] of [
    ['server', 'subjectAltName=IP:127.0.0.1'],
    ['client', 'extendedKeyUsage=clientAuth'],
  ] as const) {
    newKey(name);
    openssl([
      ...['req', '-new', '-x509', '-subj', `/CN=${name}`, '-key', at(`${name}.key`)],
      ...['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-days', '1', '-out', at(`${name}.pem`)],
      ...['-addext', extension, '-addext', 'basicConstraints=critical,CA:FALSE'],
    ]);
  }
}

async function eventually<T>(work: () => Promise<T>): Promise<T> {
  for (let count = 0; ; count += 1) {
    try {
      return await work();
    } catch (error) {
      if (count === 150) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
