import { setTimeout as sleep } from 'node:timers/promises';
import type { Identity, OrganisationReport } from '@countersign/identity';
import type { Clock, Surface } from '@countersign/model';
import type { BankConfig } from '@countersign/policy';
import { type ProbePlace, probePlaces, type UnprobedPlace } from './probe-places.ts';
import { createProber, isLetIn, type ProbeAnswer, type Prober, probeKey } from './probe-point.ts';

/** How long a point is asked until it refuses. */
const REFUSED_MS_MAX = 10_000;
const ASK_EVERY_MS = 20;

/** What a listener said before and after. */
export interface ProbeReport {
  /** `edge/partners` */
  readonly listener: string;
  readonly subject: string;
  /** What came of it: only `refused` proves anything. */
  readonly outcome: /** Let in before, refused after. */
    | 'refused'
    /** Refused before already: revoked earlier, or otherwise kept out. */
    | 'was-out'
    /** Still let in ten seconds later. */
    | 'still-in'
    /** Could not be reached. */
    | 'unreached';
  /** From the deed to the first refusal. */
  readonly milliseconds?: number;
  readonly before?: ProbeAnswer;
  readonly after?: ProbeAnswer;
  readonly detail?: string;
}

/** What cutting an organisation off came to. */
export interface CutReport {
  readonly organisation: string;
  /** Subjects that were revoked now. */
  readonly revoked: readonly string[];
  /** From the order to the facts on disk. */
  readonly milliseconds: number;
  readonly probes: readonly ProbeReport[];
  readonly unprobed: readonly UnprobedPlace[];
}

/** What it works with. */
export interface CutOptions {
  readonly identity: Identity;
  /** As last applied. */
  readonly config: () => Pick<BankConfig, 'points' | 'trustDomain'>;
  readonly surfaces: () => readonly Pick<Surface, 'name' | 'audience' | 'mode'>[];
  /** What a listener shows, where it is a certificate of the bank's own: SHA-256, base64url. */
  readonly shownCertificate: (listener: string) => Promise<string | undefined>;
  readonly now: Clock;
}

interface Probe {
  readonly place: ProbePlace;
  readonly subject: string;
  readonly prober: Prober;
  readonly before: ProbeAnswer | Error;
}

/**
 * Cuts an organisation off everywhere, and proves it at the points themselves: each listener where one of its clients would
 * get in is asked with a token of that client's before, and again until it refuses.
 *
 * @returns nothing when there is no such organisation
 */
export async function cutPartner(
  organisation: string,
  order: { readonly reason: string; readonly by: string; readonly isProbed: boolean },
  options: CutOptions,
): Promise<CutReport | undefined> {
  const { identity } = options;
  const found = (await identity.organisations()).find(({ name }) => name === organisation);
  if (!found) return undefined;
  const { probes, unprobed } = order.isProbed
    ? await prepare(found, order.by, options)
    : { probes: [], unprobed: [] };
  const startedMs = performance.now();
  const cut = await identity.cutOff(organisation, order);
  if (!cut) return undefined;
  const cutMs = performance.now();
  const reports = await Promise.all(probes.map((probe) => untilRefused(probe, cutMs)));
  return {
    organisation,
    revoked: cut.revoked,
    milliseconds: round(cutMs - startedMs),
    probes: reports,
    unprobed,
  };
}

/** Asks each listener once: a refusal afterwards proves nothing where there was one before. */
async function prepare(
  { subjects }: OrganisationReport,
  by: string,
  { identity, config, surfaces, shownCertificate, now }: CutOptions,
): Promise<{ readonly probes: readonly Probe[]; readonly unprobed: readonly UnprobedPlace[] }> {
  const probes: Probe[] = [];
  const unprobed: UnprobedPlace[] = [];
  for (const { subject, client } of subjects) {
    if (!client) {
      unprobed.push({ name: subject.id, why: 'it has no OAuth client: no token gets it in' });
      continue;
    }
    const found = probePlaces(client, config(), surfaces());
    unprobed.push(...found.unprobed);
    for (const place of found.places) {
      const key = probeKey();
      const token = await identity.probeToken({
        ...{ subject: subject.id, clientId: client.id, audience: place.audience, by },
        key: key.publicKey,
      });
      const prober = createProber(place, {
        ...{ token, key, now },
        shownCertificate: () => shownCertificate(place.name),
        authorities: () =>
          identity.trustAnchors.x509Authorities.map((text) => Buffer.from(text, 'base64')),
      });
      const before = await prober.ask().catch((error: Error) => error);
      probes.push({ place, subject: subject.id, prober, before });
    }
  }
  return { probes, unprobed };
}

async function untilRefused(
  { place, subject, prober, before }: Probe,
  cutMs: number,
): Promise<ProbeReport> {
  const common = { listener: place.name, subject };
  if (before instanceof Error) return { ...common, outcome: 'unreached', detail: before.message };
  if (!isLetIn(before)) return { ...common, outcome: 'was-out', before };
  for (;;) {
    let after: ProbeAnswer;
    try {
      after = await prober.ask();
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      return { ...common, outcome: 'unreached', before, detail };
    }
    const passedMs = performance.now() - cutMs;
    if (!isLetIn(after)) {
      return { ...common, outcome: 'refused', milliseconds: round(passedMs), before, after };
    }
    if (passedMs > REFUSED_MS_MAX) return { ...common, outcome: 'still-in', before, after };
    await sleep(ASK_EVERY_MS);
  }
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}
