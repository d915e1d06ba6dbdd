import { once } from 'node:events';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CaStatus } from '@countersign/cli';
import { connectWorkload, type Workload } from '@countersign/sdk';
import { freePort } from '@countersign/test-support/free-port';
import { request } from 'undici';
import { expect } from 'vitest';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

export const PAYMENTS = 'spiffe://bank.example/workload/payments/api';
export const POINT = 'spiffe://bank.example/workload/countersign/accounts';

/** An authority, a sidecar that only workloads get through, and what is behind it, in this process. */
export async function rotatingBank(
  options: { readonly svidTtl?: string; readonly ca?: string; readonly now?: () => number } = {},
) {
  const { svidTtl = '1h', ca = '{ lifetime: 24h }', now } = options;
  const folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  const [data, pointData] = [join(folder.path, 'data'), join(folder.path, 'point')];
  await countersign(['init', bank]);
  const api = createServer((_, answer) => answer.end('from the api'));
  await once(api.listen(0, '127.0.0.1'), 'listening');
  const [control, issuer, mesh] = await Promise.all([freePort(), freePort(), freePort()]);
  await writeFile(
    join(bank, 'countersign.yaml'),
    `trustDomain: bank.example
authority:
  control: 127.0.0.1:${control}
  issuer: 127.0.0.1:${issuer}
  issuerUrl: https://localhost:${issuer}
  svidTtl: ${svidTtl}
  ca: ${ca}
points:
  accounts:
    kind: sidecar
    listeners:
      - { name: mesh, address: '127.0.0.1:${mesh}', routes: [{ surface: accounts }] }
`,
  );
  const surface = join(bank, 'surfaces/accounts.yaml');
  const text = await readFile(surface, 'utf8');
  await writeFile(
    surface,
    text
      .replace('mode: shadow', 'mode: enforce')
      .replace('9001', `${(api.address() as AddressInfo).port}`),
  );
  await appendFile(
    join(bank, 'policies/accounts.cedar'),
    `
@id("payments-lists-accounts")
permit (
  principal == Workload::"${PAYMENTS}",
  action == Accounts::Action::"ListAccounts",
  resource
);
`,
  );
  const stops = { authority: new AbortController(), point: new AbortController() };
  const clock = now === undefined ? {} : { now };
  let authority = await started(
    ['authority', '-C', bank, '-d', data],
    stops.authority.signal,
    clock,
  );
  const onAuthority = (...words: string[]) => countersign([...words, '-d', data]);
  const tokenOf = async (subject: string) => (await onAuthority('join-token', subject)).out.trim();
  const token = join(folder.path, 'token');
  await writeFile(token, await tokenOf('workload/countersign/accounts'));
  const startPoint = () =>
    started(
      [
        ...['sidecar', 'accounts', '-d', pointData, '--trust', join(folder.path, 'trust.json')],
        ...['--join-token-file', token],
      ],
      stops.point.signal,
      clock,
    );
  // As a host has it: a copy of the day on which it was set up.
  await writeFile(join(folder.path, 'trust.json'), await readFile(join(data, 'trust.json')));
  let point = await startPoint();
  const workloads: Workload[] = [];
  const origin = `https://127.0.0.1:${mesh}`;

  return {
    ...{ data, pointData, origin, mesh, folder: folder.path, onAuthority, tokenOf },
    /** Becomes a workload; a copy of an older `trust.json` may be given. */
    async workload(
      more: { subject?: string; folder?: string; trust?: string; joinToken?: string } = {},
    ) {
      const { subject = 'workload/payments/api', trust: file = join(data, 'trust.json') } = more;
      const trust = JSON.parse(await readFile(file, 'utf8'));
      const workload = await connectWorkload({
        authorityUrl: trust.controlUrl,
        authoritySpiffeId: 'spiffe://bank.example/workload/countersign/authority',
        x509Authorities: trust.x509Authorities,
        factKeys: trust.factKeys,
        trustDomain: 'bank.example',
        joinToken: more.joinToken ?? (await tokenOf(subject)),
        ...(more.folder !== undefined && { folder: more.folder }),
        ...clock,
      });
      workloads.push(workload);
      return workload;
    },
    /** One request through the sidecar. */
    async call(workload: Workload): Promise<number> {
      const answer = await request(`${origin}/accounts-api/accounts`, {
        dispatcher: workload.dispatcherFor(origin, POINT),
      });
      await answer.body.dump();
      return answer.statusCode;
    },
    async ca(...words: string[]): Promise<void> {
      const { code, out, err } = await onAuthority('ca', ...words);
      if (code !== 0) throw new Error(`${out}${err}`);
    },
    async show(): Promise<CaStatus> {
      return JSON.parse((await onAuthority('ca', 'show', '--json')).out);
    },
    async restartAuthority(meanwhile: () => Promise<void> = async () => {}): Promise<void> {
      stops.authority.abort();
      await authority.ended;
      await meanwhile();
      stops.authority = new AbortController();
      authority = await started(
        ['authority', '-C', bank, '-d', data],
        stops.authority.signal,
        clock,
      );
    },
    async stopPoint(): Promise<void> {
      stops.point.abort();
      await point.ended;
    },
    async startPoint(): Promise<void> {
      stops.point = new AbortController();
      point = await startPoint();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workloads.map((workload) => workload.close()));
      stops.point.abort();
      await point.ended;
      stops.authority.abort();
      await authority.ended;
      api.close();
      api.closeAllConnections();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Calls all the time until it is stopped; tells what went wrong. */
export function underLoad(call: () => Promise<number>, width = 4) {
  const wrong: string[] = [];
  let [calls, isOver] = [0, false];
  const loops = Array.from({ length: width }, async () => {
    while (!isOver) {
      const status = await call().catch((error: Error) => `${error.name}: ${error.message}`);
      calls += 1;
      if (status !== 200) wrong.push(`${calls}: ${status}`);
      await sleep(5);
    }
  });
  return {
    calls: () => calls,
    wrong,
    async stop(): Promise<void> {
      isOver = true;
      await Promise.all(loops);
    },
  };
}

/** Waits until it holds, 20 s at the longest. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  forMs = 20_000,
): Promise<void> {
  const end = Date.now() + forMs;
  while (!(await holds())) {
    if (Date.now() > end) expect.fail(`not within ${forMs} ms: ${what}`);
    await sleep(20);
  }
}

async function started(
  words: readonly string[],
  stop: AbortSignal,
  options: { readonly now?: () => number },
): Promise<{ readonly ended: Promise<Ran> }> {
  let running: Promise<Ran> | undefined;
  await new Promise<void>((resolve, reject) => {
    running = countersign(words, {
      ...{ stop, ...options },
      onOut(text) {
        if (text.includes('"ready":true')) resolve();
      },
    });
    void running.then(({ err }) => reject(new Error(err)));
  });
  return { ended: running as Promise<Ran> };
}
