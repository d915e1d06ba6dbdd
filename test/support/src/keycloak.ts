import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';

export const KEYCLOAK_VERSION = '26.7.3';
const KC = join(
  import.meta.dirname,
  `../../../.cache/keycloak/keycloak-${KEYCLOAK_VERSION}/bin/kc.sh`,
);
const ADMIN = { username: 'admin', password: 'admin-of-a-test' };
/** The first start lays out its program anew; on two busy processors that is a minute. */
const START_MS = 240_000;

/** Whether there is a Keycloak to test with: `.ci/run` brings one, and then the test must run. */
export function isKeycloakThere(what: string): boolean {
  const isThere = existsSync(KC) || process.env['CI'] === 'true';
  if (!isThere) console.log(`skipped ${what}: found no ${KC}, which .ci/run installs`);
  return isThere;
}

/** A Keycloak of this test's own. */
export interface Keycloak {
  readonly url: string;
  /** Of all that runs for it. */
  readonly processGroup: number;
  /** Asks its administration. */
  admin(method: string, path: string, body?: unknown): Promise<unknown>;
  close(): Promise<void>;
}

export async function startKeycloak(options: {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Whom it believes, and by whom its own certificate is. */
  readonly caFile: string;
  readonly caPem: string;
  readonly port: number;
  /** Asks clients for certificates, by whom `caFile` says. */
  readonly clientCertificates?: boolean;
  /** Where its database (H2) is; in memory if not said. */
  readonly databaseFile?: string;
  /** For who measures it: compiled as it runs for long, and not to start soon. */
  readonly isForSpeed?: boolean;
  /** Options of its providers (`--spi-…`). */
  readonly providers?: readonly string[];
}): Promise<Keycloak> {
  const { certificateFile, keyFile, caFile, caPem, port, databaseFile } = options;
  const url = `https://localhost:${port}`;
  const child = spawn(
    KC,
    [
      ...['start-dev', '--cache=local', `--hostname=${url}`],
      // For all alike, though signals alone need it: with other features it lays out its program anew.
      '--features=ssf',
      ...(options.providers ?? []),
      ...(databaseFile === undefined
        ? ['--db=dev-mem']
        : ['--db=dev-file', `--db-url=jdbc:h2:file:${databaseFile};NON_KEYWORDS=VALUE`]),
      ...['--http-host=127.0.0.1', `--http-port=${await freePort()}`, `--https-port=${port}`],
      `--https-certificate-file=${certificateFile}`,
      `--https-certificate-key-file=${keyFile}`,
      `--truststore-paths=${caFile}`,
      ...(options.clientCertificates ? ['--https-client-auth=request'] : []),
    ],
    {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN.username,
        KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password,
        ...(!options.isForSpeed && { JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1' }),
      },
    },
  );
  let out = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      out = (out + text).slice(-20_000);
    });
  }
  const agent = new Agent({ ca: caPem, keepAlive: true });
  const close = async () => {
    agent.destroy();
    await ended(child);
  };
  const untilMs = Date.now() + START_MS;
  while (!/started in [0-9.]+s/.test(out)) {
    if (child.exitCode !== null || Date.now() > untilMs) {
      await close();
      throw new Error(`Keycloak did not start: ${out.slice(-2000)}`);
    }
    await sleep(100);
  }
  const call = async (
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string,
  ) => {
    const { status, text } = await new Promise<{ status: number; text: string }>(
      (resolve, reject) => {
        const asked = request(`${url}${path}`, { method, headers, agent }, (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
          answer.on('end', () =>
            resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
          );
        });
        asked.on('error', reject).end(body);
      },
    );
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  };
  return {
    url,
    processGroup: child.pid ?? 0,
    close,
    async admin(method, path, body) {
      const form = { 'content-type': 'application/x-www-form-urlencoded' };
      const grant = new URLSearchParams({
        grant_type: 'password',
        client_id: 'admin-cli',
        ...ADMIN,
      });
      const token = '/realms/master/protocol/openid-connect/token';
      const { access_token } = (await call('POST', token, form, `${grant}`)) as {
        access_token: string;
      };
      const authorization = `Bearer ${access_token}`;
      return body === undefined
        ? call(method, `/admin/realms${path}`, { authorization })
        : call(
            method,
            `/admin/realms${path}`,
            { authorization, 'content-type': 'application/json' },
            JSON.stringify(body),
          );
    },
  };
}

/** The script and its Java are one group. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise((resolve) => child.once('close', resolve));
  process.kill(-child.pid, 'SIGKILL');
  await gone;
}
