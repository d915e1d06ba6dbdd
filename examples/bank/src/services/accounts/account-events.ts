import type { ServerResponse } from 'node:http';
import { apiAmount } from '../amount.ts';

/** Tells whoever follows of postings on the accounts that it may see. */
export interface AccountEvents {
  /** Takes over an answer as a stream of server-sent events; false when there are too many. */
  follow(response: ServerResponse, accounts: readonly string[]): boolean;
  posted(account: string, amount: number): void;
  close(): void;
}

const FOLLOWERS_MAX = 200;
/** Bytes that a follower may leave unread; beyond, it is cut off rather than kept in memory. */
const UNREAD_BYTES_MAX = 64 * 1024;
const BEAT_MS = 1_000;

interface Follower {
  readonly response: ServerResponse;
  readonly accounts: ReadonlySet<string>;
}

/** Starts with nobody following; beats only while somebody is. */
export function accountEvents(): AccountEvents {
  const followers = new Set<Follower>();
  let sequence = 0;
  let beat: NodeJS.Timeout | undefined;
  const write = (follower: Follower, text: string): void => {
    follower.response.write(text);
    if (follower.response.writableLength > UNREAD_BYTES_MAX) follower.response.destroy();
  };
  const leave = (follower: Follower): void => {
    followers.delete(follower);
    if (followers.size === 0) clearInterval(beat);
  };
  return {
    follow: (response, accounts) => {
      if (followers.size >= FOLLOWERS_MAX) return false;
      const follower = { response, accounts: new Set(accounts) };
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      if (followers.size === 0) {
        beat = setInterval(() => {
          for (const each of followers) write(each, ': beat\n\n');
        }, BEAT_MS);
        beat.unref();
      }
      followers.add(follower);
      response.once('close', () => leave(follower));
      // Something at once: whoever follows knows that it stands.
      write(follower, ': following\n\n');
      return true;
    },
    posted: (account, amount) => {
      sequence += 1;
      const data = JSON.stringify({ AccountId: account, Amount: apiAmount(amount) });
      for (const follower of followers) {
        if (follower.accounts.has(account)) {
          write(follower, `id: ${sequence}\nevent: posting\ndata: ${data}\n\n`);
        }
      }
    },
    close: () => {
      for (const { response } of followers) response.end();
    },
  };
}
