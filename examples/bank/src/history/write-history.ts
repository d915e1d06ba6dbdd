import { open } from 'node:fs/promises';
import {
  type DecisionEvent,
  EVENT_VERSION,
  encodeEvent,
  type OutcomeEvent,
} from '@countersign/model';
import {
  USUAL_CALLERS,
  type UsualCaller,
  type UsualRequest,
  usualRequest,
} from '../callers/usual.ts';
import { type SeededRandom, seededRandom } from '../data/seeded-random.ts';
import { workingStretches } from './working-hours.ts';

/** What was written. */
export interface WrittenHistory {
  readonly events: number;
  readonly bytes: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** The log that replayed events say they come from: no log of ours, so that nobody looks for it. */
export const HISTORY_ORIGIN = 'bank.example/replayed';
const WEEK_MS = 7 * 86_400_000;
/** Written at once, so that a week of events is never all in memory as text. */
const CHUNK_EVENTS = 2_000;

/**
 * Writes a past week of the partners' usual traffic at the edge as events, one JSON line each, for a
 * risk baseline: a decision and an outcome for each request, in time order, labelled `replayed`.
 * The same seed and instant give the same file, byte for byte.
 *
 * @param file replaced when it is there
 */
export async function writeHistory(
  file: string,
  { nowMs, seed = 'past week' }: { nowMs: number; seed?: string },
): Promise<WrittenHistory> {
  const fromMs = nowMs - WEEK_MS;
  const past = USUAL_CALLERS.flatMap((caller) => {
    const random = seededRandom(`${seed} ${caller.partner}`);
    return pastOf(caller, { fromMs, toMs: nowMs }, random);
  }).sort((one, other) => one.atMs - other.atMs);
  const handle = await open(file, 'w', 0o600);
  let bytes = 0;
  let seq = 0;
  try {
    for (let start = 0; start < past.length; start += CHUNK_EVENTS / 2) {
      const lines = past.slice(start, start + CHUNK_EVENTS / 2).map((request) => {
        const text = eventLines(request, seq);
        seq += 2;
        return text;
      });
      const chunk = Buffer.from(lines.join(''), 'utf8');
      await handle.writeFile(chunk);
      bytes += chunk.length;
    }
  } finally {
    await handle.close();
  }
  return { events: seq, bytes, fromMs, toMs: nowMs };
}

interface PastRequest extends UsualRequest {
  readonly atMs: number;
  readonly id: string;
  readonly sentBytes: number;
  readonly milliseconds: number;
}

function pastOf(
  caller: UsualCaller,
  span: { fromMs: number; toMs: number },
  random: SeededRandom,
): PastRequest[] {
  const { partner, requestsPerMinute } = caller;
  const past: PastRequest[] = [];
  for (const { fromMs, toMs } of workingStretches(caller, span, random)) {
    // Some stretches are busier than others.
    const perMs = (requestsPerMinute * Math.exp(0.4 * random.normal())) / 60_000;
    let atMs = fromMs;
    for (;;) {
      atMs += Math.ceil(-Math.log(1 - random.next()) / perMs);
      if (atMs >= toMs) break;
      const usual = usualRequest(partner, random);
      past.push({
        ...usual,
        atMs,
        id: `replayed-${partner}-${past.length}`,
        sentBytes: Math.round(usual.bytes * Math.exp(0.15 * random.normal())),
        milliseconds: Math.round(8 * Math.exp(0.4 * random.normal())),
      });
    }
  }
  return past;
}

/** A request's decision and outcome, each a line. */
function eventLines(request: PastRequest, seq: number): string {
  const { partner, surface, operation, route, account, atMs, id, sentBytes, milliseconds } =
    request;
  const subject = `spiffe://bank.example/partner/${partner}`;
  const session = `replayed-${partner}`;
  const resource =
    account === undefined
      ? { type: 'Surface', id: surface }
      : { type: 'Accounts::Account', id: account };
  const decision: DecisionEvent = {
    v: EVENT_VERSION,
    kind: 'decision',
    id,
    at: atMs,
    origin: HISTORY_ORIGIN,
    seq,
    replayed: true,
    surface,
    mode: 'enforce',
    method: 'GET',
    route,
    subject,
    session,
    effect: 'permit',
    enforced: true,
    reason: 'policy-permits',
    action: operation,
    resource,
    policyVersion: '',
    factSequence: 0,
    stateChanging: false,
  };
  const outcome: OutcomeEvent = {
    v: EVENT_VERSION,
    kind: 'outcome',
    id,
    at: atMs + milliseconds,
    origin: HISTORY_ORIGIN,
    seq: seq + 1,
    replayed: true,
    surface,
    subject,
    session,
    mode: 'enforce',
    status: 200,
    bytes: sentBytes,
    forwarded: true,
    milliseconds,
  };
  return `${lineOf(decision)}${lineOf(outcome)}`;
}

function lineOf(event: DecisionEvent | OutcomeEvent): string {
  return `${Buffer.from(encodeEvent(event)).toString('utf8')}\n`;
}
