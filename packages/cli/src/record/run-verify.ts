import { resolve } from 'node:path';
import {
  type Arguments,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { dataOf, print } from '../commands/options.ts';
import { findLogs, logIn } from './find-logs.ts';
import type { LogVerdict } from './log-verdict.ts';
import { missingLogs } from './missing-logs.ts';
import { readCheckpointLog } from './read-checkpoint-log.ts';
import { readKey } from './read-key.ts';
import { runVerifyTiles } from './run-verify-tiles.ts';
import { trustedWitnesses } from './trusted-witnesses.ts';
import { VerifiedShards } from './verified-shards.ts';
import { verifyOne } from './verify-logs.ts';

/** Verifies the logs of a data folder, or one, and tells what was found. */
export async function runVerify(args: Arguments, io: Io): Promise<number> {
  if (args.text('tiles') !== undefined) {
    if (args.texts('witness').length > 0) {
      throw new UsageError('found --witness beside --tiles, expected it with a data folder');
    }
    return runVerifyTiles(args, io);
  }
  if (args.texts('checkpoint').length > 0) {
    throw new UsageError('found --checkpoint, expected it beside --tiles');
  }
  if (args.text('authority') !== undefined) {
    throw new UsageError("found --authority, expected --tiles beside it: the name of a log's");
  }
  const [operand] = args.operands;
  const logs = operand ? [await logIn(resolve(io.cwd, operand))] : await findLogs(dataOf(args, io));
  if (logs.length === 0)
    throw new CommandError(`cannot verify: found no log in ${dataOf(args, io)}`);
  const keys = await Promise.all(args.texts('vkey').map((each) => readKey(each, io)));
  const witnesses = await trustedWitnesses(args, io);
  const entered = await readCheckpointLog(logs, { givenKeys: keys, witnesses });
  if (entered === undefined && witnesses !== undefined) {
    throw new CommandError(
      'cannot verify: found witnesses and no log of checkpoints to hold them against',
    );
  }
  const options = { givenKeys: keys, ...(entered && { entered }) };
  const verified = new VerifiedShards();
  for (const log of logs) {
    verified.add(log, await verifyOne(log, { ...options, ...verified.before(log) }));
  }
  const verdicts: LogVerdict[] = operand === undefined ? verified.chained() : verified.verdicts();
  // One folder by itself is held against nothing.
  if (operand === undefined)
    verdicts.push(...missingLogs(logs, { root: dataOf(args, io), entered }));
  const ok = verdicts.every((verdict) => verdict.ok);
  print(io, args, { ok, logs: verdicts }, verdicts.flatMap(verdictLines).join('\n'));
  return ok ? EXIT.ok : EXIT.negative;
}

function verdictLines(verdict: LogVerdict): readonly string[] {
  const counts = Object.entries(verdict.events)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ');
  return [
    `${verdict.ok ? 'good' : 'BAD '}  ${verdict.name}: ${verdict.size} entries under ${verdict.checkpoints} checkpoints; key from ${verdict.keyFrom}`,
    ...(counts ? [`      ${counts}`] : []),
    ...(verdict.unfinished > 0
      ? [`      ${verdict.unfinished} unfinished (a crash cut them, or they go on)`]
      : []),
    ...verdict.notes.map((note) => `      note: ${note}`),
    ...verdict.problems.map((problem) => `      ${problem}`),
  ];
}
