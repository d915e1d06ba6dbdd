import pg from 'pg';
import { StateError } from '../state-error.ts';
import { LOCK_CLASS } from './postgres-dialect.ts';
import { stateErrorOf } from './postgres-error.ts';

const LOOK_MILLISECONDS = 1000;
/** Longer than a server keeps the connection of a process that is gone: until then the lock may still be our own. */
const REFUSED_MILLISECONDS_MAX = 60_000;

/**
 * Holds a lock for as long as the process lives, on a connection of its own, which is made again when it is lost.
 *
 * @param options `onLost` is called once, when somebody else has had the lock for a minute
 * @throws {StateError} `ERR_STATE_BUSY` when somebody else has it
 */
export async function claimLock(
  config: pg.ClientConfig,
  {
    lock,
    name,
    onLost,
  }: { readonly lock: number; readonly name: string; readonly onLost: (error: Error) => void },
): Promise<() => Promise<void>> {
  const take = async (): Promise<pg.Client | undefined> => {
    const client = new pg.Client(config);
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query('select pg_try_advisory_lock($1, $2) as held', [
        LOCK_CLASS,
        lock,
      ]);
      if (rows[0]?.held === 1) return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw stateErrorOf(error);
    }
    await client.end();
    return undefined;
  };
  const taken = (): StateError =>
    new StateError(
      'ERR_STATE_BUSY',
      `could not claim '${name}': found that another process has it in this database, expected none`,
    );

  let held = await take();
  if (held === undefined) throw taken();
  let isReleased = false;
  let refusedSinceMs: number | undefined;
  let looking: Promise<void> | undefined;
  const look = async (): Promise<void> => {
    try {
      await held?.query('select 1');
      if (held) return;
    } catch {
      await held?.end().catch(() => undefined);
      held = undefined;
    }
    try {
      held = await take();
    } catch {
      // The server is away: nobody else can have it.
      refusedSinceMs = undefined;
      return;
    }
    if (held) refusedSinceMs = undefined;
    else refusedSinceMs ??= performance.now();
    if (performance.now() - (refusedSinceMs ?? Infinity) < REFUSED_MILLISECONDS_MAX) return;
    if (refusedSinceMs === undefined || isReleased) return;
    isReleased = true;
    clearInterval(timer);
    onLost(taken());
  };
  const timer = setInterval(() => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
  }, LOOK_MILLISECONDS);
  timer.unref();
  return async () => {
    isReleased = true;
    clearInterval(timer);
    await looking;
    await held?.end().catch(() => undefined);
    held = undefined;
  };
}
