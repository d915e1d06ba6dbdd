import { nodeDisk, parseVerifierKey, storedSize, verifiedEntries } from '@countersign/ledger';
import { decodeEvent, EVENT_VERSION, type Event, ModelError } from '@countersign/model';
import { CommandError } from '../command-line/command.ts';
import { type FoundLog, findLogs } from './find-logs.ts';

/**
 * The events of all logs in a data folder, oldest first: each log once (a point's own, or the authority's
 * copy where that is all there is), every entry proven by a signed checkpoint. An entry that is no event of
 * its own log comes as an alarm: one point that writes such must not hide what all the others wrote.
 *
 * @throws {CommandError} when there is no log
 * @throws {LedgerError} `ERR_LEDGER_CORRUPT` at the first damage, naming its place
 */
export async function* recordedEvents(
  dataRoot: string,
  { sinceMs = 0 }: { readonly sinceMs?: number } = {},
): AsyncGenerator<Event, void, undefined> {
  const logs = await eachOnce(await findLogs(dataRoot));
  if (logs.length === 0) throw new CommandError(`cannot read events: found no log in ${dataRoot}`);
  const heads: { event: Event; rest: AsyncGenerator<Event, void, undefined> }[] = [];
  try {
    for (const log of logs) {
      const rest = eventsOf(log, sinceMs);
      const { value } = await rest.next();
      if (value) heads.push({ event: value, rest });
    }
    while (heads.length > 0) {
      // A dozen logs at most: looking at each head is cheaper than a heap would be to read.
      const oldest = heads.reduce((least, head) => (head.event.at < least.event.at ? head : least));
      yield oldest.event;
      const { value } = await oldest.rest.next();
      if (value) oldest.event = value;
      else heads.splice(heads.indexOf(oldest), 1);
    }
  } finally {
    for (const { rest } of heads) await rest.return();
  }
}

/**
 * Each log once, where a machine has a point's own and the authority's copy: the one that holds more. That is the point's
 * own by a second or so, but not where it was cut, or removed what the authority keeps.
 */
export async function eachOnce(logs: readonly FoundLog[]): Promise<readonly FoundLog[]> {
  // What stands in the log of checkpoints are no events.
  const held = logs.filter(
    ({ removed, cosigned }) => removed === undefined && cosigned === undefined,
  );
  const shorter = new Set<string>();
  for (const { folder, mirror } of held) {
    if (mirror === undefined) continue;
    const [own, copied] = [await storedSize(nodeDisk(folder)), await storedSize(nodeDisk(mirror))];
    shorter.add(own >= copied ? mirror : folder);
  }
  return held.filter(({ folder }) => !shorter.has(folder));
}

async function* eventsOf(
  { folder, key }: FoundLog,
  sinceMs: number,
): AsyncGenerator<Event, void, undefined> {
  if (!key) return;
  const verifier = parseVerifierKey(key.text);
  const { name: origin } = verifier;
  let at = 0;
  for await (const entry of verifiedEntries(nodeDisk(folder), { verifiers: [verifier] })) {
    const event = eventOf(entry, { origin, at });
    at = event.at;
    if (at >= sinceMs) yield event;
  }
}

function eventOf(
  { index: seq, bytes }: { readonly index: number; readonly bytes: Uint8Array },
  { origin, at }: { readonly origin: string; readonly at: number },
): Event {
  let detail: string;
  try {
    const event = decodeEvent(bytes);
    // Its writer could be speaking for somebody else.
    if (event.origin === origin && event.seq === seq) return event;
    detail = `found an event of '${event.origin}' with seq ${event.seq}, expected '${origin}' and ${seq}`;
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    detail = error.message;
  }
  const common = { v: EVENT_VERSION, id: 'unreadable', at, origin, seq } as const;
  return { ...common, kind: 'alarm', alarm: 'event-unreadable', detail: detail.slice(0, 1000) };
}
