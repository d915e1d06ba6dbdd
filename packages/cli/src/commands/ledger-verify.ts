import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, CommandError, EXIT } from '../command-line/command.ts';
import { findLogs, logIn } from '../record/find-logs.ts';
import { type LogVerdict, verifyOne } from '../record/verify-logs.ts';
import { dataOf, print, shared } from './options.ts';

/** `countersign ledger verify` */
export const ledgerVerifyCommand: Command = {
  name: 'ledger verify',
  summary: 'prove the logs, or tell where they are not as they were written',
  operands: '[LOG-FOLDER]',
  operandsMax: 1,
  description:
    "Reads every byte: frames, entries, each checkpoint's signature and root; then the events (sequence, each outcome after its\ndecision); then that a point's own log still holds what the authority collected. Without an operand, all logs of the data folder.\nOffline: it asks no process and writes nothing. An auditor brings the keys along with --vkey.",
  options: {
    data: shared.data,
    vkey: {
      type: 'string',
      multiple: true,
      value: 'KEY|FILE',
      help: 'trust these verifier keys only (default: those that the authority registered)',
    },
    json: shared.json,
  },
  examples: ['countersign ledger verify --data data', 'countersign ledger verify data/points/edge/log --vkey edge.vkey'],
  async run(args, io) {
    const [operand] = args.operands;
    const logs = operand ? [await logIn(resolve(io.cwd, operand))] : await findLogs(dataOf(args, io));
    if (logs.length === 0) throw new CommandError(`cannot verify: found no log in ${dataOf(args, io)}`);
    const keys = await Promise.all(args.texts('vkey').map(readKey));
    const verdicts: LogVerdict[] = [];
    for (const log of logs) verdicts.push(await verifyOne(log, keys));
    const ok = verdicts.every((verdict) => verdict.ok);
    print(io, args, { ok, logs: verdicts }, verdicts.flatMap(verdictLines).join('\n'));
    return ok ? EXIT.ok : EXIT.negative;
  },
};

async function readKey(text: string): Promise<string> {
  return text.includes('+') ? text : (await readFile(text, 'utf8')).trim();
}

function verdictLines(verdict: LogVerdict): readonly string[] {
  const counts = Object.entries(verdict.events)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ');
  return [
    `${verdict.ok ? 'good' : 'BAD '}  ${verdict.name}: ${verdict.size} entries under ${verdict.checkpoints} checkpoints; key from ${verdict.keyFrom}`,
    ...(counts ? [`      ${counts}`] : []),
    ...(verdict.unfinished > 0 ? [`      ${verdict.unfinished} unfinished (a crash cut them, or they go on)`] : []),
    ...verdict.notes.map((note) => `      note: ${note}`),
    ...verdict.problems.map((problem) => `      ${problem}`),
  ];
}
