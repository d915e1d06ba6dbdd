import type { Identity } from '@countersign/identity';
import {
  type checkRepository,
  type Problem,
  type RegisteredIdentity,
  registeredIdOf,
} from '@countersign/policy';
import type { Recorder } from './record/own-record.ts';

/** Checks the repository with identities that stand in no file. */
export type CheckWith = (
  registered: readonly RegisteredIdentity[],
) => ReturnType<typeof checkRepository>;

/**
 * Checks the repository at a start, with the identities that were registered by API. One of those that the repository has no
 * room for any more must not keep the authority from starting: it is left out, and gets nothing, until it is registered anew or
 * the repository is changed; and that is an alarm.
 */
export async function checkAtStart(
  check: CheckWith,
  options: {
    /** What the check came to without them. */
    readonly without: Awaited<ReturnType<CheckWith>>;
    readonly identity: Identity;
    readonly record: Recorder;
    readonly warn: (text: string) => void;
  },
): ReturnType<typeof checkRepository> {
  let registered: readonly RegisteredIdentity[] = await options.identity.writtenRegistrations();
  for (;;) {
    if (registered.length === 0) return options.without;
    const checked = await check(registered);
    const faults = checked.problems.filter(({ severity }) => severity === 'error');
    const unfit = new Set(faults.map(registeredIdOf));
    const left = registered.filter(({ id }) => !unfit.has(id));
    if (checked.repository) return checked;
    for (const problem of faults) await tell(problem, options);
    if (left.length === registered.length) {
      // What is wrong stands elsewhere, such as in a policy test: which of them it is, nothing says.
      const [first] = faults;
      const where = `${first?.file}: found ${first?.found}, expected ${first?.expected}`;
      await alarm(`${left.length} registered identities get nothing: ${where}`, options);
      return options.without;
    }
    registered = left;
  }
}

interface Told {
  readonly record: Recorder;
  readonly warn: (text: string) => void;
}

async function tell(problem: Problem, options: Told): Promise<void> {
  const id = registeredIdOf(problem);
  if (id === undefined) return;
  const { found, expected } = problem;
  await alarm(`${id} gets nothing: found ${found}, expected ${expected}`, options);
}

async function alarm(detail: string, { record, warn }: Told): Promise<void> {
  warn(`alarm registration-unfit: ${detail}`);
  await record({ kind: 'alarm', alarm: 'registration-unfit', detail: detail.slice(0, 1000) });
}
