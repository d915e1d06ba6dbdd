import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { PlayedScene, StartedProvider } from '@countersign/example-bank';
import { type Arguments, CommandError, EXIT, type Io } from '../command-line/command.ts';
import { jsonText } from '../command-line/json-text.ts';
import { untilStopped } from '../command-line/until-stopped.ts';
import { wholeNumber } from '../command-line/words.ts';
import { eventLine } from '../record/event-line.ts';
import { type EventFinder, followEvents } from './event-finder.ts';
import { type RunningBank, startExampleBank } from './example-bank.ts';
import { type ExampleBank, loadExampleBank } from './load-example-bank.ts';
import { idpOf, issuerOf, tourEnvironment } from './tour-environment.ts';

const RATE_PER_SECOND = 4;

/** Runs the example bank and shows it, or plays the tour once. */
export async function runDemo(args: Arguments, io: Io): Promise<number> {
  const rate = wholeNumber(args, 'rate', { min: 1, max: 1000 }) ?? RATE_PER_SECOND;
  const bank = await loadExampleBank();
  const given = args.text('data');
  const dataRoot =
    given === undefined ? await mkdtemp(join(tmpdir(), 'countersign-')) : resolve(io.cwd, given);
  const isJson = args.flag('json') || !io.isTerminal;
  const say = (text: string): void => (isJson ? io.err : io.out)(`${text}\n`);
  say(`everything is kept in ${dataRoot}`);
  const startedMs = io.now();
  const running = await startExampleBank({ dataRoot, bank, now: io.now });
  const events = new AbortController();
  const idp = bank.startIdentityProvider({ ...idpOf(running), ...issuerOf(running) });
  try {
    say(whatRuns(running));
    say(`up after ${((io.now() - startedMs) / 1000).toFixed(1)} s`);
    const finder = followEvents(running.admin, events.signal);
    return args.flag('once')
      ? await playOnce({ running, bank, finder, idp, isJson, io })
      : await show({ running, bank, finder, idp, isJson, rate, withTour: args.flag('tour'), io });
  } finally {
    events.abort();
    await idp.close();
    await running.stop();
    say('stopped');
  }
}

interface Playing {
  readonly running: RunningBank;
  readonly bank: ExampleBank;
  readonly finder: EventFinder;
  readonly idp: StartedProvider;
  readonly isJson: boolean;
  readonly io: Io;
}

async function playOnce({ running, bank, finder, idp, isJson, io }: Playing): Promise<number> {
  const env = tourEnvironment(running, { finder, idp, now: io.now });
  const broken = running.broken.then(({ name, how }): never => {
    throw new CommandError(
      `${name} ended by itself: ${how}; see ${running.dataRoot}/logs/${name}.txt`,
    );
  });
  const interrupted = untilStopped(io).then((): never => {
    throw new CommandError('interrupted');
  });
  const played = await Promise.race([
    bank.runTour(env, {
      scenes: bank.SCENES,
      onPlayed: (played) => (isJson ? io.err : io.out)(sceneLines(played)),
    }),
    broken,
    interrupted,
  ]);
  const scenes = played.map(({ scene, got, ok, measured, evidence }) => ({
    name: scene.name,
    expected: scene.expected,
    got,
    ok,
    ...(measured !== undefined && { measured }),
    ...(evidence && { evidence }),
  }));
  const passed = scenes.filter(({ ok }) => ok).length;
  const failed = scenes.length - passed;
  if (isJson) io.out(`${jsonText({ passed, failed, scenes })}\n`);
  else io.out(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? EXIT.ok : EXIT.negative;
}

async function show(
  playing: Playing & { readonly rate: number; readonly withTour: boolean },
): Promise<number> {
  const { running, bank, finder, idp, isJson, rate, withTour, io } = playing;
  finder.onEvent((event) => {
    const line = isJson ? jsonText(event) : eventLine(event, { colour: !io.env['NO_COLOR'] });
    if (line !== undefined) io.out(`${line}\n`);
  });
  const traffic = new AbortController();
  const env = tourEnvironment(running, { finder, idp, now: io.now });
  const flowing = bank.runTraffic(env, {
    ratePerSecond: rate,
    signal: traffic.signal,
  });
  const stopped = untilStopped(io);
  if (withTour) {
    // Beside the traffic: what is refused is seen among what is permitted.
    bank
      .runTour(env, {
        scenes: bank.SCENES,
        onPlayed: (played) => {
          if (!io.stop.aborted) (isJson ? io.err : io.out)(sceneLines(played));
        },
      })
      .catch((error: Error) => io.err(`the tour broke off: ${error.message}\n`));
  }
  const end = await Promise.race([stopped, running.broken]);
  traffic.abort();
  await flowing;
  if (end) {
    io.err(
      `${end.name} ended by itself: ${end.how}; see ${running.dataRoot}/logs/${end.name}.txt\n`,
    );
    return EXIT.failed;
  }
  return EXIT.ok;
}

function sceneLines({ scene, got, ok, measured, milliseconds }: PlayedScene): string {
  const told = measured === undefined ? got : `${got}; ${measured}`;
  return `${ok ? 'ok    ' : 'FAILED'}  ${scene.name.padEnd(28)}  ${scene.title}\n        expected ${scene.expected}; got ${told}  (${milliseconds} ms)\n`;
}

function whatRuns({ children, ports, dataRoot }: RunningBank): string {
  const where: Readonly<Record<string, string>> = {
    authority: `control https://127.0.0.1:${ports.control}, issuer https://localhost:${ports.issuer}, admin ${dataRoot}/authority/admin.sock`,
    edge: `https://localhost:${ports.edge} (accounts, payments), https://localhost:${ports.statements} (statements, in shadow)`,
    payments: `sidecar https://127.0.0.1:${ports.payments}`,
    accounts: `sidecar https://127.0.0.1:${ports.accounts}`,
    node: `SPIFFE Workload API, one socket for each workload in ${dataRoot}/node`,
    core: `wrap https://127.0.0.1:${ports.core}`,
  };
  return [...children.values()]
    .map(
      ({ name, pid }) =>
        `  ${name.padEnd(16)} pid ${String(pid).padEnd(8)} ${where[name] ?? 'behind its point, on a unix socket'}`,
    )
    .join('\n');
}
