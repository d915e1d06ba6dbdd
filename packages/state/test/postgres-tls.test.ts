import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPostgres, type PostgresOptions } from '@countersign/state';
import { freePort } from '@countersign/test-support/free-port';
import { type Postgres, postgresOrSkip, startPostgres } from '@countersign/test-support/postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const bin = postgresOrSkip();
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'postgres-tls-'));
let server: Postgres;
let port: number;
let options: PostgresOptions & { tls: { ca: string } };

/** A certificate that signs itself. */
function certificate(name: string, subjectAltName: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-days', '2', '-subj', `/CN=${name}`, '-addext', `subjectAltName=${subjectAltName}`],
    ...['-keyout', key, '-out', cert],
  ]);
  if (made.status !== 0) throw new Error(String(made.stderr));
  return { cert, key };
}

beforeAll(async () => {
  if (bin === undefined || !hasOpenssl) return;
  const { cert, key } = certificate('server', 'DNS:localhost');
  port = await freePort();
  server = await startPostgres(bin, {
    files: (owner) => {
      for (const [from, to] of [
        [cert, 'server.crt'],
        [key, 'server.key'],
      ] as const) {
        const there = join(owner.folder, to);
        copyFileSync(from, there);
        chmodSync(there, 0o600);
        if (owner.uid !== undefined && owner.gid !== undefined) {
          chownSync(there, owner.uid, owner.gid);
        }
      }
      return {
        ...{ listen_addresses: '127.0.0.1', port: String(port), ssl: 'on' },
        ...{ ssl_cert_file: join(owner.folder, 'server.crt') },
        ssl_key_file: join(owner.folder, 'server.key'),
      };
    },
    hba: ['local all all trust', 'hostssl all all 127.0.0.1/32 scram-sha-256'],
  });
  const client = await server.connect();
  await client.query("create role countersign login password 'a long password'");
  await client.query('create database state owner countersign');
  await client.end();
  options = {
    ...{ host: 'localhost', port, database: 'state', user: 'countersign' },
    password: () => 'a long password',
    tls: { ca: readFileSync(cert, 'utf8') },
  };
}, 60_000);
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true });
});

describe.skipIf(bin === undefined || !hasOpenssl)('a PostgreSQL over TCP', () => {
  test('is used by TLS, its name verified, with the password that is asked for each time', async () => {
    let asked = 0;
    const database = await openPostgres({
      ...options,
      password: () => {
        asked += 1;
        return 'a long password';
      },
    });
    const connected = await server.connect('state');
    const { rows } = await connected.query(
      "select distinct ssl, version from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'countersign'",
    );
    expect(rows).toEqual([{ ssl: true, version: 'TLSv1.3' }]);
    await connected.end();
    expect(asked).toBeGreaterThan(0);
    await database.close();
  });

  test.each<[string, (all: typeof options) => PostgresOptions]>([
    ['another authority', (all) => ({ ...all, tls: { ca: other() } })],
    ['the authorities of the system', ({ tls: _, ...all }) => all],
    ['another name than that of its certificate', (all) => ({ ...all, host: '127.0.0.1' })],
    ['a wrong password', (all) => ({ ...all, password: () => 'another password' })],
  ])('is not used with %s', async (_, change) => {
    await expect(openPostgres(change(options))).rejects.toMatchObject({
      code: expect.stringMatching(/^(ERR_STATE_UNAVAILABLE|28P01)$/),
    });
  });

  test('is not used without a password, whatever the environment has', async () => {
    process.env['PGPASSWORD'] = 'a long password';
    try {
      const { password: _, ...without } = options;
      await expect(openPostgres(without)).rejects.toMatchObject({
        code: 'ERR_STATE_UNAVAILABLE',
        message: expect.stringContaining('none is configured'),
      });
    } finally {
      delete process.env['PGPASSWORD'];
    }
  });
});

function other(): string {
  return readFileSync(certificate('other', 'DNS:localhost').cert, 'utf8');
}
