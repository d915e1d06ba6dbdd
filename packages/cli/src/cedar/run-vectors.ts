import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runVectors, type VectorMismatch, type VectorReport } from '@countersign/cedar';
import {
  type Arguments,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import { count } from './count.ts';
import { withEngine } from './open-policies.ts';
import { printAnswer } from './print-answer.ts';
import { ENTITIES_BYTES_MAX, readText } from './read-text.ts';

/** How often a run tells how far it is. */
const PROGRESS_MS = 2000;
/** Mismatches told to a person, and ids of each list; JSON has all. */
const SHOWN_MAX = { mismatches: 100, ids: 12 } as const;

/** Runs tests of the official format; the exit code says whether all came out as expected. */
export async function runCedarVectors(args: Arguments, io: Io): Promise<number> {
  const [path] = args.operands;
  if (path === undefined)
    throw new UsageError('found no PATH, expected a test or a folder of them');
  const root = args.text('root') ?? '.';
  for (const each of [path, root]) await requirePath(each, io);
  const report = await withEngine((engine) =>
    runVectors(path, {
      engine,
      root,
      readFile: (file) => readText(file, { what: 'test', io, bytesMax: ENTITIES_BYTES_MAX }),
      listFiles: (folder) => filesBelow(folder, io),
      onProgress: progress(args, io),
    }),
  );
  if (report.tests === 0) {
    throw new CommandError(`cannot run vectors: found no test in '${printable(path)}'`);
  }
  printAnswer(io, args, { json: report, lines: reportLines(report) });
  return report.mismatches.length === 0 ? EXIT.ok : EXIT.negative;
}

async function requirePath(path: string, io: Io): Promise<void> {
  if (await stat(resolve(io.cwd, path)).catch(() => undefined)) return;
  throw new CommandError(`cannot run vectors: found no such file or folder '${printable(path)}'`);
}

/** Every file below a folder, as paths that begin as the folder's does; nothing for a file. */
async function filesBelow(folder: string, io: Io): Promise<readonly string[] | undefined> {
  const absolute = resolve(io.cwd, folder);
  if (!(await stat(absolute)).isDirectory()) return undefined;
  const entries = await readdir(absolute, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(folder, entry.parentPath.slice(absolute.length), entry.name));
}

/** Tells on standard error how far the run is; ends it when the command is asked to stop. */
function progress(
  args: Arguments,
  io: Io,
): (done: { readonly tests: number; readonly requests: number }) => void {
  let toldAt = io.now();
  return ({ tests, requests }) => {
    if (io.stop.aborted) throw new CommandError(`stopped after ${tests} tests`);
    if (args.flag('json') || io.now() - toldAt < PROGRESS_MS) return;
    toldAt = io.now();
    io.err(`${tests} tests, ${requests} requests so far\n`);
  };
}

function reportLines({ tests, requests, mismatches }: VectorReport): readonly string[] {
  const bad = mismatches.length;
  const more = bad - SHOWN_MAX.mismatches;
  return [
    ...mismatches.slice(0, SHOWN_MAX.mismatches).flatMap(mismatchLines),
    ...(more > 0 ? [`and ${more} more; --json lists all`] : []),
    [
      `${bad === 0 ? 'good' : 'not good'}: ${count(tests, 'test')}, ${count(requests, 'request')}`,
      `, ${count(bad, 'mismatch', 'mismatches')}`,
    ].join(''),
  ];
}

function mismatchLines({ test, request, expected, got }: VectorMismatch): readonly string[] {
  return [
    `${printable(test)}: ${printable(request || 'the test')}`,
    ...(expected ? [`    expected ${answerText(expected)}`] : []),
    `    got      ${'error' in got ? printable(got.error) : answerText(got)}`,
  ];
}

/** What a test leaves out is not compared. */
function answerText({ decision, reason, errors }: NonNullable<VectorMismatch['expected']>): string {
  return [
    decision,
    ...(reason ? [`reasons: ${listed(reason)}`] : []),
    ...(errors ? [`errors: ${listed(errors)}`] : []),
  ].join(', ');
}

function listed(ids: readonly string[]): string {
  const more = ids.length - SHOWN_MAX.ids;
  const shown = printable(ids.slice(0, SHOWN_MAX.ids).join(', '));
  return more > 0 ? `${shown} and ${more} more` : shown || 'none';
}
