import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DrillBank } from '@countersign/cli';

/** What was measured, one figure a try, in milliseconds. */
export interface Tries {
  readonly what: string;
  /** From the operator's call to the end of the last connection. */
  readonly fromCallMs: readonly number[];
  /** From the call to its answer: the revocation is in the database and in the authority's log. */
  readonly answerMs: readonly number[];
}

const TRY_MS_MAX = 30_000;
const AGAIN_MS = 10;

/**
 * Revokes and reinstates a subject again and again.
 *
 * @param options.open connections that must end; tried again until the subject is let in
 */
export async function measureTries(
  what: string,
  options: {
    readonly bank: DrillBank;
    readonly tries: number;
    readonly spiffeId: string;
    readonly open: () => Promise<{ readonly closed: Promise<unknown> }>;
  },
): Promise<Tries> {
  const { bank, tries, spiffeId, open } = options;
  const fromCallMs: number[] = [];
  const answerMs: number[] = [];
  for (let done = 0; done < tries; done += 1) {
    const { closed } = await untilOpen(open);
    const began = performance.now();
    const answered = bank.admin
      .call('POST', '/v1/revocations', { target: 'subject', value: spiffeId, reason: 'measured' })
      .then(() => performance.now() - began);
    await Promise.race([closed, tooLong(`${spiffeId} was revoked and its connections stand`)]);
    fromCallMs.push(performance.now() - began);
    answerMs.push(await answered);
    await bank.admin.call('DELETE', `/v1/revocations/subject/${encodeURIComponent(spiffeId)}`);
  }
  return { what, fromCallMs, answerMs };
}

async function untilOpen<T>(open: () => Promise<T>): Promise<T> {
  const end = performance.now() + TRY_MS_MAX;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

async function tooLong(what: string): Promise<never> {
  await sleep(TRY_MS_MAX, undefined, { ref: false });
  throw new Error(`${what} for ${TRY_MS_MAX / 1000} s`);
}
