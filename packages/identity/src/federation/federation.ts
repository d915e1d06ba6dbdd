import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Clock, FederationPartner } from '@countersign/model';
import { type Bundle, fetchBundle, parseBundle } from '@countersign/spiffe';
import { type Database, type FactLog, migrate } from '@countersign/state';
import { IdentityError } from '../identity-error.ts';
import type { Recorder } from '../new-event.ts';
import { Serial } from '../serial.ts';
import { admitBundle } from './admit-bundle.ts';
import { bundleEdit } from './bundle-fact.ts';
import { faultOf } from './fetch-fault.ts';
import { endpointOf } from './partner-endpoint.ts';
import {
  migrations,
  type PartnerRow,
  readPartners,
  removePartner,
  writePartner,
} from './partner-rows.ts';
import {
  intervalSeconds,
  isInForce,
  type PartnerStanding,
  type PartnerStatus,
  type PartnerTrouble,
  standingOf,
  statusOf,
} from './partner-standing.ts';

/** What federation needs of the outside. */
export interface FederationOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  /** Writes to the authority's log; what cannot be recorded is not done. */
  readonly record: Recorder;
  readonly now: Clock;
  /** Told of what could not even be recorded. */
  readonly warn: (text: string) => void;
  /** How to wait between fetches; the timer when absent. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** A fetch that takes longer has failed; 30 s if not said. */
  readonly fetchTimeoutMs?: number;
}

/** All are fetched at once at a start. */
const PARTNERS_MAX = 256;
const FETCH_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 1000;

/** A partner that is followed. */
interface Followed {
  row: PartnerRow;
  readonly stop: AbortController;
  following: Promise<void>;
  fetching?: Promise<void>;
  /** Whether its endpoint was asked since the start: before that, silence is ours. */
  isAsked: boolean;
  nextMs?: number;
  trouble?: PartnerTrouble;
  told: PartnerStanding | undefined;
}

/** The trust domains that the bank federates with: follows their bundles and spreads those in force as facts. */
export class Federation {
  readonly #options: FederationOptions;
  readonly #serial = new Serial();
  readonly #followed = new Map<string, Followed>();
  readonly #looking: NodeJS.Timeout;
  /** What the facts hold. */
  #spread: readonly Bundle[] | undefined;

  private constructor(options: FederationOptions) {
    this.#options = options;
    this.#looking = setInterval(() => void this.look().catch(this.#warnOf), LOOK_EVERY_MS);
    this.#looking.unref();
  }

  /** Opens it with nobody followed: {@link apply} says whom. */
  static async open(options: FederationOptions): Promise<Federation> {
    await migrate(options.database, { room: 'identity/federation', migrations });
    return new Federation(options);
  }

  /**
   * Makes these the partners and no others. Bundles of those that are gone, and of those whose day has come, are taken
   * out of force in the same step; what was held of the others stays. Fetching goes on beside.
   *
   * @throws {IdentityError} `ERR_IDENTITY_FEDERATION` for our own trust domain, one twice, or more than 256
   */
  apply(partners: readonly FederationPartner[], { by }: { readonly by: string }): Promise<void> {
    this.#check(partners);
    return this.#serial.run(async () => {
      const { database, record } = this.#options;
      const kept = new Map(
        (await readPartners(database)).map((row) => [row.partner.trustDomain, row]),
      );
      const wanted = new Set(partners.map(({ trustDomain }) => trustDomain));
      for (const trustDomain of new Set([...this.#followed.keys(), ...kept.keys()])) {
        if (wanted.has(trustDomain)) continue;
        this.#followed.get(trustDomain)?.stop.abort();
        this.#followed.delete(trustDomain);
        await record(administration('federation-removed', by, trustDomain));
        await database.transaction((transaction) => removePartner(transaction, trustDomain));
      }
      for (const partner of partners) {
        const { trustDomain } = partner;
        const before = kept.get(trustDomain);
        const isSame = before && isDeepStrictEqual(before.partner, plain(partner));
        const running = this.#followed.get(trustDomain);
        if (isSame && running) continue;
        if (!isSame) {
          const { owner, endpoint } = partner;
          await record(
            administration(before ? 'federation-changed' : 'federation-added', by, trustDomain, {
              owner,
              url: endpoint.url,
              profile: endpoint.profile,
              expiresMs: partner.expiresMs,
            }),
          );
        }
        running?.stop.abort();
        const held = running?.row.held ?? before?.held;
        await this.#start({ partner, ...(held && { held }) });
      }
      await this.#look();
    });
  }

  /** All partners, by name. */
  status(): readonly PartnerStatus[] {
    const nowMs = this.#options.now();
    return [...this.#followed.values()]
      .map((followed) => statusOf(followed, nowMs))
      .sort((a, b) => (a.trustDomain < b.trustDomain ? -1 : 1));
  }

  /** The last good bundle of a partner, whether it is in force or not. */
  held(trustDomain: string): Bundle | undefined {
    return this.#followed.get(trustDomain)?.row.held?.bundle;
  }

  /**
   * Fetches a partner's bundle now, beside the regular fetches; of one that has ended nothing is fetched.
   *
   * @throws {IdentityError} `ERR_IDENTITY_FEDERATION` for a trust domain that is no partner
   */
  async refresh(trustDomain: string, { by }: { readonly by: string }): Promise<PartnerStatus> {
    const followed = this.#followed.get(trustDomain);
    if (!followed) throw refused(trustDomain, 'no partner of that name', 'one of federation/');
    await this.#options.record(administration('federation-refreshed', by, trustDomain));
    if (this.#options.now() < followed.row.partner.expiresMs) await this.#fetch(followed);
    const status = this.status().find((each) => each.trustDomain === trustDomain);
    if (!status) throw refused(trustDomain, 'it removed meanwhile', 'a partner');
    return status;
  }

  /** Takes out of force what is over, and tells what became of whom; done once a second. */
  look(): Promise<void> {
    return this.#serial.run(() => this.#look());
  }

  /** Ends following; what is in force stays so. */
  async close(): Promise<void> {
    clearInterval(this.#looking);
    const all = [...this.#followed.values()];
    for (const { stop } of all) stop.abort();
    await Promise.all(all.map(({ following }) => following));
    await this.#serial.run(async () => undefined);
  }

  #check(partners: readonly FederationPartner[]): void {
    const names = new Set<string>();
    if (partners.length > PARTNERS_MAX) {
      throw refused('', `${partners.length} partners`, `at most ${PARTNERS_MAX}`);
    }
    for (const { trustDomain } of partners) {
      // INVARIANT: whoever is followed is somebody else, so no foreign bundle ever stands where ours does.
      if (trustDomain === this.#options.factLog.trustDomain) {
        throw refused(trustDomain, 'our own trust domain', "a partner's");
      }
      if (names.has(trustDomain)) throw refused(trustDomain, 'it twice', 'it once');
      names.add(trustDomain);
    }
  }

  async #start(row: PartnerRow): Promise<void> {
    const { database } = this.#options;
    const { trustDomain } = row.partner;
    const followed: Followed = {
      row,
      stop: new AbortController(),
      following: Promise.resolve(),
      isAsked: false,
      told: undefined,
    };
    await database.transaction((transaction) => writePartner(transaction, row));
    this.#followed.set(trustDomain, followed);
    await this.#takeInitial(followed);
    followed.following = this.#follow(followed);
  }

  /** The bundle that was handed over counts where it is newer than what is held: one that lies about for years takes nothing back. */
  async #takeInitial(followed: Followed): Promise<void> {
    const { partner, held } = followed.row;
    if (partner.initialBundle === undefined) return;
    try {
      const { trustDomain } = partner;
      const bundle = parseBundle(partner.initialBundle, { trustDomain });
      if (held && bundle.sequence <= held.bundle.sequence) return;
      await this.#take(followed, bundle, 'file');
    } catch (error) {
      await this.#failed(followed, error);
    }
  }

  async #follow(followed: Followed): Promise<void> {
    const { now, wait = waited } = this.#options;
    const { signal } = followed.stop;
    while (!signal.aborted) {
      // From the day on that it ends nobody there is asked any more.
      if (now() < followed.row.partner.expiresMs) await this.#fetch(followed);
      if (signal.aborted) return;
      const waitMs = intervalSeconds(followed.row) * 1000;
      followed.nextMs = now() + waitMs;
      await wait(waitMs, signal);
    }
  }

  /** One fetch at a time for each partner; who comes meanwhile waits for the one that is on its way. */
  #fetch(followed: Followed): Promise<void> {
    followed.fetching ??= this.#fetchOnce(followed).finally(() => {
      delete followed.fetching;
    });
    return followed.fetching;
  }

  async #fetchOnce(followed: Followed): Promise<void> {
    const { now, fetchTimeoutMs = FETCH_TIMEOUT_MS } = this.#options;
    const { signal } = followed.stop;
    let fetched: Bundle | { readonly error: unknown };
    try {
      fetched = await fetchBundle(endpointOf(followed.row.partner), {
        // Of partners only: no authority of ours may vouch for another's endpoint.
        bundles: { get: (trustDomain) => this.held(trustDomain)?.x509Authorities },
        now,
        signal: AbortSignal.any([signal, AbortSignal.timeout(fetchTimeoutMs)]),
      });
    } catch (error) {
      fetched = { error };
    }
    await this.#serial
      .run(async () => {
        if (signal.aborted) return;
        followed.isAsked = true;
        try {
          if ('error' in fetched) throw fetched.error;
          await this.#take(followed, fetched, 'endpoint');
          delete followed.trouble;
        } catch (error) {
          await this.#failed(followed, error);
        }
        await this.#look();
      })
      .catch(this.#warnOf);
  }

  /** @throws {SpiffeError} when it may not take the place of what is held */
  async #take(followed: Followed, bundle: Bundle, from: 'file' | 'endpoint'): Promise<void> {
    const { database, record, now } = this.#options;
    const { partner, held } = followed.row;
    const { trustDomain } = partner;
    const change = admitBundle(bundle, { held: held?.bundle, own: this.#own() });
    if (change === 'new') {
      const counts = {
        sequence: bundle.sequence,
        x509Authorities: bundle.x509Authorities.length,
        jwtAuthorities: bundle.jwtAuthorities.length,
      };
      await record(
        administration('federation-bundle-taken', 'system', trustDomain, { from, ...counts }),
      );
      if (bundle.x509Authorities.length === 0) {
        await record({
          kind: 'alarm',
          alarm: 'federation-all-revoked',
          detail: `'${trustDomain}' publishes no X.509 authority any more: nobody of it is believed`,
        });
      }
    }
    const row: PartnerRow = {
      partner,
      held: { bundle: change === 'same' && held ? held.bundle : bundle, heardMs: now() },
    };
    await database.transaction((transaction) => writePartner(transaction, row));
    followed.row = row;
  }

  async #failed(followed: Followed, error: unknown): Promise<void> {
    const { now, record } = this.#options;
    const { trustDomain } = followed.row.partner;
    const { code, detail } = faultOf(error);
    const before = followed.trouble;
    const isNews = before?.code !== code;
    followed.trouble = {
      ...{ code, detail },
      sinceMs: before?.sinceMs ?? now(),
      attempts: (before?.attempts ?? 0) + 1,
    };
    // An endpoint that is not there may come back; one that answers wrongly is somebody's fault, or attack.
    if (!isNews || code === 'ERR_SPIFFE_BUNDLE_UNAVAILABLE') return;
    await record({
      kind: 'alarm',
      alarm: 'federation-bundle-refused',
      detail: `'${trustDomain}': ${code} ${detail}`.slice(0, 1000),
    });
  }

  /** Facts first, then words: what is over is out of force even when the log takes no alarm. */
  async #look(): Promise<void> {
    const { now, record } = this.#options;
    const nowMs = now();
    const inForce = [...this.#followed.values()].flatMap(({ row }) =>
      row.held && isInForce(standingOf(row, nowMs)) ? [row.held.bundle] : [],
    );
    // Asked once a second: all facts are gone through only when another bundle is in force than before.
    const isSame =
      this.#spread?.length === inForce.length &&
      inForce.every((bundle, index) => bundle === this.#spread?.[index]);
    if (!isSame) await this.#spreadAll(inForce);
    for (const followed of this.#followed.values()) {
      const { row, told, isAsked, trouble } = followed;
      const standing = standingOf(row, nowMs);
      const isQuiet = standing === 'trusted' || standing === 'waiting';
      if (standing === told || (!isAsked && standing !== 'ended')) continue;
      followed.told = standing;
      if (told === undefined && isQuiet) continue;
      const { trustDomain } = row.partner;
      const why = trouble ? `: ${trouble.code} ${trouble.detail}` : '';
      if (standing === 'stale' || standing === 'distrusted') {
        const since = new Date(row.held?.heardMs ?? 0).toISOString();
        const what =
          standing === 'stale'
            ? 'its bundle is old'
            : 'its bundle is too old, and nobody of it is believed any more';
        const detail = `'${trustDomain}' was last heard ${since}; ${what}${why}`;
        await record({
          kind: 'alarm',
          alarm: `federation-${standing}`,
          detail: detail.slice(0, 1000),
        });
      } else {
        const action = standing === 'ended' ? 'federation-ended' : 'federation-recovered';
        await record(administration(action, 'system', trustDomain));
      }
    }
  }

  async #spreadAll(inForce: readonly Bundle[]): Promise<void> {
    const { factLog } = this.#options;
    const edit = bundleEdit(inForce, factLog);
    if (edit.puts.length + edit.removes.length > 0) await factLog.append(edit);
    this.#spread = inForce;
  }

  #own(): readonly Uint8Array[] {
    const { factLog } = this.#options;
    const fact = factLog.get(`trust-bundle ${factLog.trustDomain}`);
    const authorities = fact?.kind === 'trust-bundle' ? fact.x509Authorities : [];
    return authorities.map((text) => Buffer.from(text, 'base64'));
  }

  #warnOf = (error: Error): void => this.#options.warn(`federation: ${error.message}`);
}

function administration(
  action: string,
  by: string,
  target: string,
  detail?: Record<string, string | number>,
) {
  return { kind: 'administration', action, by, target, ...(detail && { detail }) } as const;
}

/** As JSON will say it, so that it compares with what was kept. */
function plain<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}

async function waited(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

function refused(trustDomain: string, found: string, expected: string): IdentityError {
  return new IdentityError(
    'ERR_IDENTITY_FEDERATION',
    `could not federate with '${trustDomain}': found ${found}, expected ${expected}`,
  );
}
