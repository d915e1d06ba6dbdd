import { randomUUID } from 'node:crypto';
import pg from 'pg';

/** How often followers look, whatever was told: a notice that was lost delays nobody by more than this. */
const LOOK_MILLISECONDS = 1000;
const RETRY_MILLISECONDS = { first: 100, max: 5000 };
/** A connection that says nothing for this long is asked whether it lives. */
const PROBE_MILLISECONDS = 10_000;
/** PostgreSQL's channel on which commits are told of; a notice says by whom: what happened stands in the rows. */
export const CHANNEL = 'countersign';

/**
 * Tells when another process may have written: by LISTEN on a connection of its own, each time that connection is made, and at
 * least each second. Only a hint: whoever is woken reads by sequence what is new.
 */
export class Wakeups {
  /** What this process says in its notices: those need not wake itself. */
  readonly own = randomUUID();
  readonly #config: pg.ClientConfig;
  readonly #listeners = new Set<() => void>();
  readonly #look: NodeJS.Timeout;
  #client: pg.Client | undefined;
  #retry: NodeJS.Timeout | undefined;
  #probe: NodeJS.Timeout | undefined;
  #failures = 0;
  #isClosed = false;

  constructor(config: pg.ClientConfig) {
    this.#config = config;
    this.#look = setInterval(() => this.#wake(), LOOK_MILLISECONDS);
    this.#look.unref();
    void this.#connect();
  }

  /** Called once soon, and then as above; must not throw. */
  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#listeners.clear();
    clearInterval(this.#look);
    clearInterval(this.#probe);
    clearTimeout(this.#retry);
    await this.#client?.end().catch(() => undefined);
  }

  #wake(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  async #connect(): Promise<void> {
    const client = new pg.Client(this.#config);
    const fail = () => this.#failed(client);
    client.on('error', fail);
    client.on('end', fail);
    client.on('notification', ({ payload }) => {
      if (payload !== this.own) this.#wake();
    });
    this.#client = client;
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
    } catch {
      fail();
      return;
    }
    this.#failures = 0;
    this.#probe = setInterval(() => client.query('select 1').catch(fail), PROBE_MILLISECONDS);
    this.#probe.unref();
    // What was told while nobody listened.
    this.#wake();
  }

  #failed(client: pg.Client): void {
    if (this.#client !== client || this.#isClosed) return;
    this.#client = undefined;
    clearInterval(this.#probe);
    client.end().catch(() => undefined);
    const { first, max } = RETRY_MILLISECONDS;
    const waitMs = Math.min(first * 2 ** Math.min(this.#failures, 10), max);
    this.#failures += 1;
    this.#retry = setTimeout(() => void this.#connect(), waitMs);
    this.#retry.unref();
  }
}
