import { resolve } from 'node:path';
import { type Command, CommandError, EXIT, UsageError } from '../command-line/command.ts';
import { jsonText } from '../command-line/json-text.ts';
import { secondsOf, wholeNumber } from '../command-line/words.ts';
import { printable } from '../record/printable.ts';
import { print, shared } from './options.ts';

const DEFAULTS = { connections: 1000, rotations: 100, authorityRotations: 3, ttlSeconds: 60 };
/**
 * An idle connection of HTTP/1.1 cannot be told that it retires. So that none is idle until its certificate ends, each is used
 * at least once in a third of what is left at least of an SVID, with as much to spare: on average in a tenth of its life.
 */
const PAUSES_A_LIFE = 10;

/** `countersign drill rotation` */
export const drillRotationCommand: Command = {
  name: 'drill rotation',
  summary: 'prove on this machine that rotating SVIDs and the authority fails no request',
  description:
    "Starts a bank of its own in a temporary folder (authority, node, enforcement point, services, in processes of their own on loopback,\ntrust domain drill.invalid) and puts steady load on it: HTTP/1.1 and HTTP/2 over mTLS, one connection in ten through the enforcement\npoint. Meanwhile SVIDs are renewed and the X.509 authority is rotated, by the operator's own calls. A bank's running authority is not touched.\nPassed when not one request failed, and no connection was open on a certificate that was over. Exit code 1 when not.\nThe default takes about four minutes on two processors, and 1,256 file descriptors a process.",
  options: {
    connections: {
      type: 'string',
      value: 'N',
      help: `connections, 10 to 20000 (default ${DEFAULTS.connections})`,
    },
    rotations: {
      type: 'string',
      value: 'N',
      help: `rotations of SVIDs, over its 22 workloads (default ${DEFAULTS.rotations})`,
    },
    'ca-rotations': {
      type: 'string',
      value: 'N',
      help: `rotations of the X.509 authority (default ${DEFAULTS.authorityRotations})`,
    },
    ttl: {
      type: 'string',
      value: 'DURATION',
      help: `the life of an SVID, 10s to 1h; each is renewed at half of it (default ${DEFAULTS.ttlSeconds}s)`,
    },
    rate: {
      type: 'string',
      value: 'N',
      help: 'requests a second over all connections (default: half as many as connections, or more for a short life)',
    },
    data: {
      type: 'string',
      short: 'd',
      value: 'DIR',
      help: 'a new folder for its state and logs, which is kept (default: a temporary one, removed)',
    },
    json: shared['json'] ?? { type: 'boolean', help: 'print JSON' },
  },
  examples: [
    'countersign drill rotation',
    'countersign drill rotation --connections 100 --rotations 20 --ca-rotations 1 --ttl 10s --json',
  ],
  async run(args, io) {
    const { runDrill, expectedSeconds } = await import('../drill/run-drill.ts');
    const { drillText, faultsOf } = await import('../drill/drill-report.ts');
    const connections =
      wholeNumber(args, 'connections', { min: 10, max: 20_000 }) ?? DEFAULTS.connections;
    const ttlSeconds = secondsOf(args, 'ttl') ?? DEFAULTS.ttlSeconds;
    if (ttlSeconds < 10 || ttlSeconds > 3600) {
      throw new UsageError(`found --ttl '${args.text('ttl')}', expected from 10s to 1h`);
    }
    const least = Math.ceil((connections * PAUSES_A_LIFE) / ttlSeconds);
    const rate =
      wholeNumber(args, 'rate', { min: least, max: 100_000 }) ??
      Math.max(least, Math.ceil(connections / 2));
    const folder = args.text('data');
    const options = {
      ...{ connections, ttlSeconds, rate },
      rotations: wholeNumber(args, 'rotations', { min: 0, max: 100_000 }) ?? DEFAULTS.rotations,
      authorityRotations:
        wholeNumber(args, 'ca-rotations', { min: 0, max: 100 }) ?? DEFAULTS.authorityRotations,
    };
    const say = (text: string): void => io.err(`${printable(text)}\n`);
    say(`it takes about ${expectedSeconds(options)} s`);
    const report = await runDrill({
      ...options,
      ...(folder !== undefined && { folder: await newFolder(resolve(io.cwd, folder)) }),
      ...{ now: io.now, random: Math.random, signal: io.stop, say },
    });
    const faults = faultsOf(report);
    const isPassed = faults.length === 0;
    if (args.flag('json')) io.out(`${jsonText({ passed: isPassed, faults, ...report })}\n`);
    else print(io, args, report, drillText(report));
    return isPassed ? EXIT.ok : EXIT.negative;
  },
};

/** Never one with something in it: it could be a bank's. */
async function newFolder(path: string): Promise<string> {
  const { mkdir, readdir } = await import('node:fs/promises');
  await mkdir(path, { recursive: true });
  const [found] = await readdir(path);
  if (found === undefined) return path;
  throw new CommandError(
    `cannot drill in ${path}: found '${found}', expected an empty folder; a drill has an authority of its own and touches no other`,
  );
}
