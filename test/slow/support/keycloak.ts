import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { Agent, request } from 'undici';
import { until } from './until.ts';

const VERSION = '26.7.3';
const KC = `.cache/keycloak/keycloak-${VERSION}/bin/kc.sh`;
const ADMIN = { username: 'admin', password: 'admin-of-a-test' };
/** The first start lays out its program anew; on two busy processors that is a minute. */
const START_MS = 240_000;

/** Whether there is a Keycloak to test with: `.ci/run` brings one, and then the test must run. */
export function isKeycloakThere(what: string): boolean {
  const isThere = existsSync(KC) || process.env['CI'] === 'true';
  if (!isThere) console.log(`skipped ${what}: found no ${KC}, which .ci/run installs`);
  return isThere;
}

/** A Keycloak of this test's own, its database in memory. */
export interface Keycloak {
  readonly url: string;
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
}): Promise<Keycloak> {
  const { certificateFile, keyFile, caFile, caPem, port } = options;
  const url = `https://localhost:${port}`;
  const child = spawn(
    KC,
    [
      ...['start-dev', '--db=dev-mem', '--cache=local', `--hostname=${url}`],
      ...['--http-host=127.0.0.1', `--http-port=${await freePort()}`, `--https-port=${port}`],
      `--https-certificate-file=${certificateFile}`,
      `--https-certificate-key-file=${keyFile}`,
      `--truststore-paths=${caFile}`,
    ],
    {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN.username,
        KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password,
        JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1',
      },
    },
  );
  let out = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      out = (out + text).slice(-20_000);
    });
  }
  const agent = new Agent({ connect: { ca: caPem } });
  const close = async () => {
    await agent.destroy();
    await ended(child);
  };
  try {
    await until(() => {
      if (child.exitCode !== null) throw new Error(`Keycloak ended: ${out}`);
      return /started in [0-9.]+s/.test(out);
    }, START_MS);
  } catch (error) {
    await close();
    throw new Error(`Keycloak did not start: ${out.slice(-2000)}`, { cause: error });
  }
  const call = async (
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string,
  ) => {
    const answer = await request(`${url}${path}`, {
      ...{ method: method as 'GET', headers, dispatcher: agent },
      ...(body !== undefined && { body }),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300)
      throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  };
  return {
    url,
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

/** A port that nobody listens at now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The script and its Java are one group. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise((resolve) => child.once('close', resolve));
  process.kill(-child.pid, 'SIGKILL');
  await gone;
}
