import type { Answer, Completeness, IndexProgress, UnknownValue } from '@countersign/audit';
import { type Arguments, EXIT, type Io, UsageError } from '../command-line/command.ts';
import { jsonText } from '../command-line/json-text.ts';
import { dataOf } from '../commands/options.ts';
import { dataFolder } from '../data-folder.ts';
import { connectReader } from '../reader/connect-reader.ts';
import { shortName } from '../record/event-line.ts';
import { printable } from '../record/printable.ts';
import { answerCsv } from './answer-csv.ts';
import { answerTable } from './answer-table.ts';
import { askAuthority, askReader } from './ask-authority.ts';
import { askFolder } from './ask-folder.ts';
import { askedOf } from './asked-of.ts';
import type { Found } from './found.ts';

const TOLD_EVERY_MS = 2000;

/** Puts a question to the record and prints what it says. */
export async function runFind(args: Arguments, io: Io): Promise<number> {
  if (args.flag('csv') && args.flag('json')) {
    throw new UsageError('found --csv and --json, expected one of them');
  }
  const asked = askedOf(args, io.now());
  const root = dataOf(args, io);
  const options = { signal: io.stop, onProgress: progressTo(io) };
  const reader = await connectReader(args, io);
  let found: Found;
  try {
    found = reader
      ? await askReader(reader, asked, options)
      : ((await askAuthority(dataFolder(root).adminSocket, asked, options)) ??
        (await askFolder(root, asked, { ...options, env: io.env, now: io.now })));
  } finally {
    await reader?.close();
  }
  const { answer, completeness } = found;
  if (args.flag('json')) io.out(`${jsonText({ question: asked, ...found })}\n`);
  else if (args.flag('count')) io.out(`${answer.count}\n`);
  else if (args.flag('csv')) io.out(answerCsv(answer.rows));
  else io.out(answerTable(answer.rows) || 'nothing found\n');
  // Beside the answer, so that a file or a pipe holds nothing but rows.
  for (const note of notesOf(found, args)) io.err(`${printable(note)}\n`);
  const isGood = answer.problems.length === 0 && (completeness?.isComplete ?? true);
  return isGood ? EXIT.ok : EXIT.negative;
}

/** Tells a person every two seconds how far a long work is. */
function progressTo(io: Io): (progress: IndexProgress) => void {
  let toldAtMs = io.now();
  return ({ log, done, of }) => {
    if (io.now() - toldAtMs < TOLD_EVERY_MS) return;
    toldAtMs = io.now();
    io.err(`reading ${log}: ${done} of ${of} entries\n`);
  };
}

function* notesOf(found: Found, args: Arguments): Generator<string, void, undefined> {
  const { answer, completeness, recorded, uncollected = [], removed = [], closed } = found;
  if (!args.flag('count')) yield extentOf(answer);
  if (closed !== undefined) {
    yield `${closed} of them ${closed === 1 ? 'has' : 'have'} something sealed that nobody can open: its keys were destroyed (erased, or their time was over)`;
  }
  for (const unknown of answer.unknown) yield unknownNote(unknown);
  for (const { code, log, index, detail } of answer.problems) {
    yield `problem: ${log}${index === undefined ? '' : ` ${index}`}: ${code}: ${detail}`;
  }
  for (const { log, code, sinceMs } of uncollected) {
    yield `${log} is not being collected since ${new Date(sinceMs).toISOString()} (${code}): what it decides is not in this answer`;
  }
  for (const { name, size, removedAtMs } of removed) {
    const when =
      removedAtMs === undefined
        ? 'are being removed'
        : `were removed on ${new Date(removedAtMs).toISOString().slice(0, 10)}`;
    yield `the ${size} entries of ${name} ${when}, when their time was over: they are in no answer`;
  }
  if (completeness) yield* completenessNotes(completeness);
  yield recorded
    ? `this reading is in the record: ${recorded.origin} ${recorded.seq}`
    : 'this reading is NOT in the record: no authority runs on this folder, so that nobody could write it down';
}

function extentOf({ rows, count, cursor }: Answer): string {
  if (count === 0) return 'no event fits';
  const shown = rows.length === count ? `all ${count}` : `${rows.length} of ${count}`;
  return `${shown} shown${cursor ? `; go on with --cursor ${cursor}` : ''}`;
}

function unknownNote({ condition: { fields, values }, near }: UnknownValue): string {
  const what = fields.join(', ').replace('resource, resourceId', 'resource');
  const meant = near.map((name) => `'${shortName(name)}'`).join(' or ');
  return `no event has ${what} '${values.join("' or '")}'${meant ? `; did you mean ${meant}?` : ''}`;
}

function* completenessNotes(completeness: Completeness): Generator<string, void, undefined> {
  for (const { name, proven, size, count, logProblems } of completeness.logs) {
    yield `${name}: ${Math.min(proven, size)} of ${size} entries proven, ${count} of them asked for`;
    for (const { code, file, offset, detail } of logProblems) {
      yield `problem: ${name}: ${file} at byte ${offset}: ${code}: ${detail}`;
    }
  }
  for (const { code, log, index, detail } of completeness.problems) {
    yield `problem: ${log}${index === undefined ? '' : ` ${index}`}: ${code}: ${detail}`;
  }
  if (completeness.problemsOmitted > 0) yield `problem: ${completeness.problemsOmitted} more`;
  yield completeness.entered === undefined
    ? 'no log of checkpoints here: a log that was rewritten under its own key would not be seen'
    : `held against ${completeness.entered} entered checkpoints`;
  yield completeness.isComplete
    ? 'complete: every entry was proven, and the index left out and invented nothing'
    : 'NOT complete: see the problems above';
}
