import { setTimeout as sleep } from 'node:timers/promises';
import type { X509Source } from '@countersign/spiffe';
import type { AdminClient } from '../admin-client.ts';
import type { DrillLoad } from './drill-load.ts';
import { DRILL_DOMAIN } from './drill-repository.ts';
import { keyIdsOf } from './key-ids.ts';

/** One rotation of the X.509 authority, in milliseconds from its beginning. */
export interface AuthorityRotation {
  readonly id: string;
  /** Seconds after the drill's beginning. */
  readonly atSeconds: number;
  /** Every client has it in its bundle, and no handshake is under way that began before. */
  readonly knownMs: number;
  /** It issues. */
  readonly activeMs: number;
  /** No open connection stands on a certificate of another authority any more. */
  readonly takenOverMs: number;
}

/** What rotations need of the drill. */
export interface RotatingAuthorities {
  readonly admin: AdminClient;
  readonly sources: readonly X509Source[];
  readonly load: DrillLoad;
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** What is being waited for. */
  onStage(stage: string): void;
  onRotated(rotation: AuthorityRotation): void;
}

const LOOK_EVERY_MS = 100;
/** Nodes and points have it as soon as clients do; but a server that was told is not a server that has made use of it. */
const SPREAD_MS = 1000;

/**
 * Rotates the X.509 authority `times` times, by what an operator has for it: prepare, wait until everybody knows the next
 * one, activate, wait until everything that is in use is of the next one.
 */
export async function rotateAuthorities(times: number, drill: RotatingAuthorities): Promise<void> {
  const { admin, sources, load, now, signal } = drill;
  const startedMs = now();
  const until = async (stage: string, isDone: () => boolean): Promise<void> => {
    drill.onStage(stage);
    while (!signal.aborted && !isDone()) {
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  };
  for (let done = 0; done < times && !signal.aborted; done += 1) {
    const begunMs = now();
    const { id } = await admin.call<{ id: string }>('POST', '/v1/ca/x509/prepare', {});
    await until('until everybody knows the next authority', () =>
      sources.every((source) => bundleOf(source).includes(id)),
    );
    const spreadMs = now() + SPREAD_MS;
    // A handshake that is under way believes the bundle of its beginning.
    await until(
      'until no handshake is under way that does not know it',
      () => now() > spreadMs && (load.oldestHandshakeMs() ?? spreadMs + 1) > spreadMs,
    );
    const knownMs = now() - begunMs;
    await admin.call('POST', '/v1/ca/x509/activate', { id });
    const activeMs = now() - begunMs;
    await until(
      'until nothing in use is of the authority before',
      () => load.certificates.notOf(id) === 0,
    );
    if (signal.aborted) return;
    drill.onRotated({
      ...{ id, knownMs, activeMs, takenOverMs: now() - begunMs },
      atSeconds: Math.round((begunMs - startedMs) / 100) / 10,
    });
  }
}

/** Ids of the authorities that a client believes now. */
function bundleOf(source: X509Source): readonly string[] {
  return (source.bundles().get(DRILL_DOMAIN) ?? []).map((der) => keyIdsOf(der).subject);
}
