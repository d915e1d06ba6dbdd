import { readEvents, toOcsf } from '@countersign/audit';
import { nodeDisk, parseVerifierKey, verifiedEntries } from '@countersign/ledger';
import {
  type Arguments,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { jsonText } from '../command-line/json-text.ts';
import { secondsOf, wholeNumber } from '../command-line/words.ts';
import { dataOf } from '../commands/options.ts';
import { version } from '../version.ts';
import { logNamed } from './choose-log.ts';
import { findLogs } from './find-logs.ts';
import { printable } from './printable.ts';
import { givenOf, recordReading } from './record-reading.ts';
import { eachOnce } from './recorded-events.ts';

/** Output is written in pieces of about this many characters. */
const PIECE = 64 * 1024;
const TOLD_MAX = 10;

/** Prints the events of the logs in a data folder in OCSF, a line each. */
export async function runExportOcsf(args: Arguments, io: Io): Promise<number> {
  const bounds = { min: 0, max: Number.MAX_SAFE_INTEGER };
  const from = wholeNumber(args, 'from', bounds) ?? 0;
  const to = wholeNumber(args, 'to', bounds) ?? Number.MAX_SAFE_INTEGER;
  if (to < from) throw new UsageError(`found --to ${to}, expected at least --from ${from}`);
  const since = secondsOf(args, 'since');
  const sinceMs = since === undefined ? 0 : io.now() - since * 1000;
  const dataRoot = dataOf(args, io);
  const name = args.text('log');
  const logs = await findLogs(dataRoot);
  const named = name === undefined ? undefined : logNamed(logs, name);
  const chosen = name === undefined ? await eachOnce(logs) : named ? [named] : [];
  if (chosen.length === 0) {
    const found =
      logs.length === 0 ? 'no log' : `the logs ${logs.map((log) => log.name).join(', ')}`;
    const expected = name === undefined ? '' : `, expected '${printable(name)}'`;
    throw new CommandError(`cannot export: found ${found} in ${dataRoot}${expected}`);
  }
  const told = givenOf(args, { once: ['since', 'log', 'from', 'to'] });
  await recordReading('export ocsf', { io, root: dataRoot, told });
  let unmapped = 0;
  let piece = '';
  for (const { folder, key } of chosen) {
    if (!key) continue;
    const verifier = parseVerifierKey(key.text);
    for await (const { index, bytes } of verifiedEntries(nodeDisk(folder), {
      verifiers: [verifier],
    })) {
      if (io.stop.aborted || index > to) break;
      if (index < from) continue;
      const place = { origin: verifier.name, start: index };
      const { events, unreadable } = readEvents([bytes], place);
      for (const { detail } of unreadable) {
        unmapped += 1;
        if (unmapped > TOLD_MAX) continue;
        io.err(`left out: ${verifier.name} ${index}: ${printable(detail)}\n`);
      }
      for (const event of events) {
        if (event.at < sinceMs) continue;
        piece += `${jsonText(toOcsf(event, { entry: bytes, productVersion: version }))}\n`;
        if (piece.length < PIECE) continue;
        io.out(piece);
        piece = '';
      }
    }
  }
  if (piece !== '') io.out(piece);
  if (unmapped > TOLD_MAX) io.err(`left out: ${unmapped - TOLD_MAX} more\n`);
  return unmapped > 0 ? EXIT.negative : EXIT.ok;
}
