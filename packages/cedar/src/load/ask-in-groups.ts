import type { CedarProblem } from '../engine.ts';
import { LIMITS } from '../limits.ts';
import type { ThreadReply } from '../wasm/thread-request.ts';

/** How many items may still end the thread before the call is given up. */
export interface Deaths {
  left: number;
}

type Died = Extract<ThreadReply, { kind: 'died' }>;

/** A group that died is followed by smaller ones: maybe it was not one item but their number. */
const SHRINK = 8;

/**
 * Asks about items, several at a time. When the thread dies of a group, each of that group is asked about alone,
 * twice if need be, and those that it dies of again are told of as problems.
 *
 * @returns whether it came to the end; not when too many died
 */
export async function askInGroups<
  Item extends { readonly id: string; readonly text?: string },
  Reply extends ThreadReply,
>(
  items: readonly Item[],
  {
    sizeMax,
    deaths,
    problems,
    ask,
    take,
  }: {
    readonly sizeMax: number;
    readonly deaths: Deaths;
    readonly problems: CedarProblem[];
    readonly ask: (group: readonly Item[]) => Promise<Reply | Died>;
    readonly take: (group: readonly Item[], reply: Exclude<Reply, Died>) => void;
  },
): Promise<boolean> {
  let size = sizeMax;
  let alone = 0;
  for (let from = 0; from < items.length; ) {
    const group = cutGroup(items, { from, sizeMax: alone > 0 ? 1 : size });
    const [first] = group;
    if (!first) return true; // never: a group has at least one
    const reply = await (group.length > 1 ? ask(group) : askTwice(() => ask(group)));
    if (reply.kind === 'died' && group.length > 1) {
      alone = group.length;
      size = Math.ceil(size / SHRINK);
      continue;
    }
    if (reply.kind === 'died') {
      problems.push(deadly(reply.message, first.id));
      deaths.left -= 1;
      if (deaths.left === 0) {
        problems.push(deadly(`gave up after ${LIMITS.workerDeaths} deaths`));
        return false;
      }
    } else {
      take(group, reply as Exclude<Reply, Died>);
    }
    from += group.length;
    alone -= group.length;
  }
  return true;
}

/**
 * Asks once more, of the fresh thread, when the thread died: it may have been ended by something else, or had no
 * time on a machine that was busy or asleep.
 */
export async function askTwice<Reply extends ThreadReply>(
  ask: () => Promise<Reply | Died>,
): Promise<Reply | Died> {
  const reply = await ask();
  return reply.kind === 'died' ? ask() : reply;
}

function cutGroup<Item extends { readonly text?: string }>(
  items: readonly Item[],
  { from, sizeMax }: { readonly from: number; readonly sizeMax: number },
): readonly Item[] {
  let to = from;
  let length = 0;
  while (to < items.length && to - from < sizeMax && length < LIMITS.policyLength) {
    length += items[to]?.text?.length ?? 0;
    to += 1;
  }
  return items.slice(from, to);
}

/** The problem of what ended the thread; without a policy it is the schema, or all of it. */
export function deadly(message: string, policy?: string): CedarProblem {
  return {
    code: 'ERR_CEDAR_TOO_DEEP',
    severity: 'error',
    message: `parsing ended the worker (${message})`,
    help: 'write it with fewer nested expressions and shorter chains',
    ...(policy !== undefined && { policy }),
  };
}
