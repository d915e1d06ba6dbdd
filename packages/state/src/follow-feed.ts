import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, request } from 'undici';
import type { FeedCursor } from './feed-reader.ts';
import { splitLines } from './split-lines.ts';
import { STATEMENT_LENGTH_MAX } from './statement.ts';

/** What became of a line. */
export type LineResult =
  | { readonly taken: true }
  | { readonly taken: false; readonly refusal: string; readonly detail?: string };

/** Whom to follow, and what to do with each line. */
export interface FollowOptions {
  /** Of the authority's control API, such as `https://127.0.0.1:7401`. */
  readonly origin: string;
  /** How to connect: as oneself, and to that authority only. */
  readonly dispatcher: Dispatcher;
  /** What is there already; asked at each connecting. */
  readonly cursor: () => FeedCursor;
  /** Takes one line; the next one comes when it has resolved. A throw ends the connection. */
  readonly accept: (line: string) => Promise<LineResult>;
  /** Told when a connection stands and when it ends, and why. */
  readonly onState?: (state: 'connected' | 'disconnected', detail: string) => void;
  /** How long without a line before connecting anew; 5,000 if not said. */
  readonly silenceMilliseconds?: number;
  /** From 0 to below 1: spreads reconnecting. */
  readonly random?: () => number;
}

/** A feed being followed. */
export interface FeedFollower {
  /** Ends it; resolves when the line in work has been taken. */
  close(): Promise<void>;
}

const SILENCE_MILLISECONDS = 5000;
/** One line, however slowly it comes. */
const LINE_MILLISECONDS = 60_000;
const LINE_BYTES_MAX = STATEMENT_LENGTH_MAX + 1024;
const BACKOFF_FIRST_MILLISECONDS = 100;
const BACKOFF_MAX_MILLISECONDS = 5000;

/**
 * Follows the authority's feed, line by line and strictly in order, until closed.
 *
 * Reconnects whenever the connection ends or nothing came for 5 s, after 100 ms at first, doubled up
 * to 5 s and jittered; at once and with a cursor of 0 when `accept` refuses a line as
 * `sequence-gap` (once; a second gap in a row waits like any other failure). Lines refused for other
 * reasons are passed over: what they mean is the business of `accept`.
 */
export function followFeed(options: FollowOptions): FeedFollower {
  const closing = new AbortController();
  const running = follow(options, closing.signal);
  return {
    async close() {
      closing.abort();
      await running;
    },
  };
}

async function follow(options: FollowOptions, closed: AbortSignal): Promise<void> {
  const random = options.random ?? Math.random;
  let failures = 0;
  let wantsSnapshot = false;
  while (!closed.aborted) {
    const end = await connectOnce(options, { closed, wantsSnapshot });
    if (closed.aborted) return;
    failures = end.linesTaken > 0 ? 1 : failures + 1;
    const isFirstGap = end.isGap && !wantsSnapshot;
    wantsSnapshot = end.isGap;
    if (isFirstGap) continue;
    const ceiling = Math.min(
      BACKOFF_MAX_MILLISECONDS,
      BACKOFF_FIRST_MILLISECONDS * 2 ** Math.min(failures - 1, 10),
    );
    // Half of it certain, half by chance: points that lost one authority do not return in step.
    await sleep(ceiling * (0.5 + random() / 2), undefined, { signal: closed }).catch(() => {});
  }
}

interface ConnectionEnd {
  readonly linesTaken: number;
  readonly isGap: boolean;
}

async function connectOnce(
  { origin, dispatcher, cursor, accept, onState, silenceMilliseconds }: FollowOptions,
  { closed, wantsSnapshot }: { readonly closed: AbortSignal; readonly wantsSnapshot: boolean },
): Promise<ConnectionEnd> {
  const ended = new AbortController();
  const signal = AbortSignal.any([closed, ended.signal]);
  const silence = silenceMilliseconds ?? SILENCE_MILLISECONDS;
  let linesTaken = 0;
  let isGap = false;
  let isConnected = false;
  let detail = 'the authority ended the feed';
  try {
    const { factSequence, bundleSequence } = cursor();
    const query = `facts=${wantsSnapshot ? 0 : factSequence}&policy=${bundleSequence}`;
    const { statusCode, body } = await request(new URL(`/v1/feed?${query}`, origin), {
      dispatcher,
      method: 'GET',
      headers: { accept: 'application/x-ndjson' },
      signal,
      headersTimeout: silence,
      bodyTimeout: 0, // counted here, by lines
    });
    body.on('error', () => {}); // told by the iterator; after the loop nobody listens
    if (statusCode !== 200) throw new Error(`found status ${statusCode}`);
    isConnected = true;
    onState?.('connected', origin);
    const lines = splitLines(body, {
      lineBytesMax: LINE_BYTES_MAX,
      silenceMilliseconds: silence,
      lineMilliseconds: LINE_MILLISECONDS,
    });
    for await (const line of lines) {
      if (closed.aborted) break;
      const result = await accept(line);
      if (result.taken) linesTaken += 1;
      else if (result.refusal === 'sequence-gap') {
        isGap = true;
        detail = 'a change is missing';
        break;
      }
    }
  } catch (error) {
    detail = error instanceof Error ? error.message : 'unknown cause';
  }
  ended.abort();
  if (isConnected || !closed.aborted) {
    onState?.('disconnected', closed.aborted ? 'closed' : detail);
  }
  return { linesTaken, isGap };
}
