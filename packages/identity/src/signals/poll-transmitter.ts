import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { refusalTeller } from '../refusal-teller.ts';
import { type ReceiveOptions, receiveSet, type SignalTransmitter } from './receive.ts';
import { refusalReason } from './refusal-reason.ts';
import type { SetError } from './verify-set.ts';

/** Asks a transmitter's poll endpoint; rejects when it does not answer 200 with JSON. */
export type PollTransmitter = (body: object, signal: AbortSignal) => Promise<unknown>;

/** Polling of one transmitter. */
export interface Polling {
  /** Why nothing comes, if nothing does. */
  trouble():
    | { readonly sinceMs: number; readonly detail: string; readonly attempts: number }
    | undefined;
  close(): Promise<void>;
}

const FIRST_AGAIN_MS = 1000;
const PAUSE_MS = 1000;
const AGAIN_MS_MAX = 5 * 60_000;
const SETS_AT_ONCE = 50;

const answerShape = z.object({
  sets: z.record(z.string().max(256), z.string().max(64 * 1024)).default({}),
  moreAvailable: z.boolean().optional(),
});

/** Polls a transmitter for as long as this runs, in long polls (RFC 8936 §2.4): what is acknowledged was acted on and recorded. */
export function pollTransmitter(
  transmitter: SignalTransmitter,
  options: ReceiveOptions & { readonly poll: PollTransmitter },
): Polling {
  const { poll, record, now } = options;
  const tell = refusalTeller({ record, now, listener: 'signals' });
  const closed = new AbortController();
  const { signal } = closed;
  let trouble: { sinceMs: number; detail: string; attempts: number } | undefined;
  let ack: string[] = [];
  let setErrs: Record<string, { err: SetError; description: string }> = {};
  /** @returns whether something was taken */
  const once = async (): Promise<boolean> => {
    let isFruitful = false;
    const told = { ack, setErrs };
    const answer = answerShape.parse(
      await poll(
        {
          ...{ maxEvents: SETS_AT_ONCE, returnImmediately: false },
          ...(ack.length > 0 && { ack }),
          ...(Object.keys(setErrs).length > 0 && { setErrs }),
        },
        signal,
      ),
    );
    ack = ack.filter((jti) => !told.ack.includes(jti));
    setErrs = {};
    for (const [jti, token] of Object.entries(answer.sets)) {
      const received = await receiveSet(token, transmitter, options);
      if (received.isTaken) {
        ack.push(jti);
        isFruitful = true;
        continue;
      }
      const { err, description } = received;
      const reason = refusalReason(err);
      const detail = `${transmitter.name}: ${description}`.slice(0, 1000);
      if (err === undefined) {
        // Neither acknowledged nor refused: the transmitter hands it out again, and again.
        await tell(reason, { reason, detail });
        continue;
      }
      setErrs[jti] = { err, description };
      await record({
        ...{ kind: 'authentication', result: 'refused', listener: 'signals', reason, detail },
      });
    }
    return isFruitful;
  };
  const done = (async () => {
    while (!signal.aborted) {
      try {
        const startedMs = now();
        const isFruitful = await once();
        trouble = undefined;
        // One that knows no long polls, or sends nothing good, is not asked without a pause.
        if (!isFruitful && now() - startedMs < PAUSE_MS) await pause(PAUSE_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        const attempts = (trouble?.attempts ?? 0) + 1;
        const detail = error instanceof Error ? error.message : String(error);
        trouble = { sinceMs: trouble?.sinceMs ?? now(), detail, attempts };
        const waitMs = Math.min(FIRST_AGAIN_MS * 2 ** (attempts - 1), AGAIN_MS_MAX);
        await pause(waitMs, signal);
      }
    }
  })();
  return {
    trouble: () => trouble,
    async close() {
      closed.abort();
      await done;
    },
  };
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
}
