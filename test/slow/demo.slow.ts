import { selfCommand } from '@countersign/cli';
import { type Event, parseEvent } from '@countersign/model';
import { afterAll, describe, expect, test } from 'vitest';
import { verifyLogs } from './support/command-line.ts';
import { makeFolder } from './support/data-folder.ts';
import { prepareBank } from './support/prepared-bank.ts';
import { type Running, startProcess } from './support/run-process.ts';
import { until } from './support/until.ts';

const UP_MS_MAX = 90_000;
/** The workloads that hold SVIDs: four points and the two services that call others. */
const HOLDERS = [
  'countersign/edge',
  'countersign/payments',
  'countersign/accounts',
  'countersign/core',
  'payments/api',
  'accounts/api',
] as const;

describe('a demo in a pipe', () => {
  const folder = makeFolder('demo');
  let demo: Running | undefined;
  afterAll(() => folder.remove());

  test('is up soon, and prints one event of the contract in each line', async () => {
    await prepareBank(folder.path, [
      { file: 'countersign.yaml', find: /svidTtl: 2m/, put: 'svidTtl: 20s' },
    ]);
    demo = startProcess(selfCommand(['demo', '--data', folder.path, '--rate', '8']));
    const up = await until(() => /^up after ([\d.]+) s$/m.exec(demo?.stderr() ?? ''), UP_MS_MAX);
    console.log(`the demo was up after ${up[1]} s`);
    await until(() => (demo ? eventsOf(demo).length > 50 : false), 60_000);
    const lines = whole(demo);
    for (const line of lines) expect(() => parseEvent(JSON.parse(line))).not.toThrow();
  }, 200_000);

  test('renews every credential while no request fails', async () => {
    const renewals = () => {
      const issued = eventsOf(demo as Running).flatMap((event) =>
        event.kind === 'administration' && event.action === 'svid-issued' ? [event.target] : [],
      );
      return HOLDERS.map((name) => issued.filter((id) => id?.endsWith(`/workload/${name}`)).length);
    };
    // The first is the enrolment; two renewals mean that a renewed one was renewed again.
    await until(() => renewals().every((count) => count >= 3), 120_000);
    const answers = eventsOf(demo as Running).filter((event) => event.kind === 'outcome');
    expect(answers.length).toBeGreaterThan(100);
    // Soon after a start a point asks for proofs and signatures that cannot be older; who asks then is told how.
    const askedAgain = new Set(
      eventsOf(demo as Running).flatMap((event) =>
        event.kind === 'decision' &&
        (event.reason === 'dpop-nonce' || event.detail?.includes('before this point started'))
          ? [event.id]
          : [],
      ),
    );
    const failed = answers.filter(({ status, failure }) => status >= 400 || failure);
    expect(failed.filter(({ id }) => !askedAgain.has(id))).toEqual([]);
    const refused = eventsOf(demo as Running).filter(
      (event) =>
        (event.kind === 'decision' && event.effect !== 'permit' && !askedAgain.has(event.id)) ||
        (event.kind === 'authentication' &&
          event.result !== 'accepted' &&
          event.reason !== 'dpop-nonce') ||
        event.kind === 'alarm',
    );
    console.log(`${askedAgain.size} were asked again`);
    expect(refused).toEqual([]);
    console.log(`${answers.length} answers, renewals per workload: ${renewals().join(' ')}`);
  }, 200_000);

  test('ends at Ctrl-C: every part in its turn, nothing cut off, exit code 0, no process left', async () => {
    const running = demo as Running;
    // What a terminal does: the signal goes to every process of the group.
    process.kill(-running.pid, 'SIGINT');
    const { code } = await running.ended;
    expect(code).toBe(0);
    expect(folder.processes()).toEqual([]);
    const { logs } = await verifyLogs(folder.path);
    expect(logs.filter(({ ok }) => !ok)).toEqual([]);
    expect(logs.filter(({ unfinished }) => unfinished > 0)).toEqual([]);
    const failed = eventsOf(running).filter(
      ({ kind, ...event }) => kind === 'outcome' && 'failure' in event,
    );
    expect(failed).toEqual([]);
  }, 60_000);

  test('starts again on the same folder when every SVID in it has ended', async () => {
    await until(() => Date.now() > lastRenewalMs(demo as Running) + 25_000, 60_000);
    const again = startProcess(selfCommand(['demo', '--data', folder.path]));
    await until(() => /^up after/m.test(again.stderr()), UP_MS_MAX);
    process.kill(again.pid, 'SIGINT');
    expect((await again.ended).code).toBe(0);
    expect(folder.processes()).toEqual([]);
  }, 200_000);
});

describe('a demo that is killed', () => {
  const folder = makeFolder('killed');
  afterAll(() => folder.remove());

  test('leaves no process: each of its children ends by itself', async () => {
    await prepareBank(folder.path, []);
    const demo = startProcess(selfCommand(['demo', '--data', folder.path]));
    await until(() => /^up after/m.test(demo.stderr()), UP_MS_MAX);
    const running = folder.processes().length;
    expect(running).toBeGreaterThanOrEqual(9);
    const killedMs = Date.now();
    process.kill(demo.pid, 'SIGKILL');
    await until(() => folder.processes().length === 0, 30_000);
    console.log(
      `${running} processes were gone ${Date.now() - killedMs} ms after kill -9 of the first`,
    );
    const { logs } = await verifyLogs(folder.path);
    expect(logs.filter(({ ok }) => !ok)).toEqual([]);
  }, 200_000);
});

/** The lines that are complete. */
function whole(running: Running): readonly string[] {
  return running.stdout().split('\n').slice(0, -1);
}

const read = new WeakMap<Running, { text: number; events: Event[] }>();

/** The events printed so far; each line is parsed once. */
function eventsOf(running: Running): readonly Event[] {
  const state = read.get(running) ?? { text: 0, events: [] };
  read.set(running, state);
  const text = running.stdout();
  for (let end = text.indexOf('\n', state.text); end >= 0; end = text.indexOf('\n', state.text)) {
    state.events.push(parseEvent(JSON.parse(text.slice(state.text, end))));
    state.text = end + 1;
  }
  return state.events;
}

function lastRenewalMs(running: Running): number {
  const times = eventsOf(running).flatMap((event) =>
    event.kind === 'administration' && event.action === 'svid-issued' ? [event.at] : [],
  );
  return Math.max(...times);
}
