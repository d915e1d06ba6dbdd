import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createWorkloadClient, type WorkloadClient } from '@countersign/spiffe';
import { freePort } from '@countersign/test-support/free-port';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

/** A bank whose authority and one node run in this process; `workloads` is YAML of `identities/`. */
export async function nodeBank(
  workloads: string,
  options: {
    readonly svidTtl?: string;
    /** More YAML of the node's own registration. */
    readonly host?: string;
    /** How the node joins; by a join token if not said. */
    readonly join?: readonly string[];
    /** Writes what the repository needs besides. */
    readonly prepare?: (bank: string) => Promise<void>;
  } = {},
) {
  const folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  const data = join(folder.path, 'data');
  const host = join(folder.path, 'host');
  const socket = join(folder.path, 'w.sock');
  await countersign(['init', bank]);
  const [control, issuer] = await Promise.all([freePort(), freePort()]);
  const config = join(bank, 'countersign.yaml');
  const text = (await readFile(config, 'utf8'))
    .replace('7401', `${control}`)
    .replaceAll('7402', `${issuer}`)
    .replace('svidTtl: 1h', `svidTtl: ${options.svidTtl ?? '1h'}`);
  await writeFile(config, text);
  const identities = join(bank, 'identities/nodes.yaml');
  const write = (yaml: string) =>
    writeFile(
      identities,
      `- id: workload/nodes/host\n  owner: platform@bank.example\n  isNode: true\n${options.host ?? ''}${yaml}`,
    );
  await write(workloads);
  await options.prepare?.(bank);
  const stop = new AbortController();
  const running: Promise<Ran>[] = [];
  const start = async (
    words: readonly string[],
    signal = stop.signal,
  ): Promise<{ readonly ended: Promise<Ran> }> => {
    const ready = Promise.withResolvers<void>();
    const ran = countersign(words, { stop: signal, onOut: () => ready.resolve() });
    void ran.then(({ err }) => ready.reject(new Error(err)));
    running.push(ran);
    await ready.promise;
    return { ended: ran };
  };
  let stopAuthority = new AbortController();
  const startAuthority = () =>
    start(
      ['authority', '-C', bank, '-d', data],
      AbortSignal.any([stop.signal, stopAuthority.signal]),
    );
  let authority = await startAuthority();
  if (!options.join) {
    const { out: token } = await countersign(['join-token', 'workload/nodes/host', '-d', data]);
    await writeFile(join(folder.path, 'token'), token);
  }
  const named = join(folder.path, 'payments.sock');
  await start([
    ...['node', '-d', host, '--trust', join(data, 'trust.json'), '--socket', socket],
    ...(options.join ?? ['--join-token-file', join(folder.path, 'token')]),
    ...['--workload', `payments=${named}`],
  ]);
  const clients: WorkloadClient[] = [];
  return {
    ...{ folder: folder.path, data, host, socket, named },
    /** A client in this process; it comes back quickly. */
    client(path = socket): WorkloadClient {
      const endpoint = `unix://${path}`;
      const backOff = { minMs: 20, maxMs: 50 };
      const client = createWorkloadClient({ endpoint, backOff, random: Math.random });
      clients.push(client);
      return client;
    },
    /** Writes the identities anew and applies them. */
    async apply(yaml: string): Promise<void> {
      await write(yaml);
      const { code, out, err } = await countersign(['apply', '-d', data]);
      if (code !== 0) throw new Error(`${out}${err}`);
    },
    /** Stops the authority, waits for something, and starts it again. */
    async withoutAuthority(meanwhile: () => Promise<void>): Promise<void> {
      stopAuthority.abort();
      await authority.ended;
      await meanwhile();
      stopAuthority = new AbortController();
      authority = await startAuthority();
    },
    onAuthority: (...words: string[]) => countersign([...words, '-d', data]),
    onNode: (...words: string[]) => countersign([...words, '-d', host]),
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      stop.abort();
      await Promise.all(running);
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Runs a program as another user, and gives what it printed. */
export function runAs(uid: number, command: readonly string[]): Promise<string> {
  const [file = '', ...words] = command;
  const child = spawn(file, words, { uid, gid: uid, stdio: ['ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      out += chunk;
    });
    child.once('error', reject);
    child.once('exit', () => resolve(out));
  });
}

/** Events of the record, as `find` gives them. */
export async function foundEvents(
  on: (...words: string[]) => Promise<Ran>,
  ...words: string[]
): Promise<{ reason?: string; alarm?: string; detail?: Record<string, unknown> }[]> {
  const { out } = await on('find', ...words, '--json');
  return JSON.parse(out).answer.rows.map(({ event }: { event: object }) => event);
}
