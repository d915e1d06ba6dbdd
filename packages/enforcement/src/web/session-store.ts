import { randomBytes } from 'node:crypto';
import type { Acr, SubjectEntity } from '@countersign/model';
import { tokenDigest } from '../authenticate/token-digest.ts';
import { LIMITS } from '../limits.ts';

/** The tokens of a session. */
export interface SessionToken {
  readonly compact: string;
  /** SHA-256, base64url. */
  readonly digest: string;
  /** Of the point's SVID that it was got with. */
  readonly certificate: string;
  readonly expiresAtMs: number;
  /** The fact with the key that signed it, and until when that is asked for. */
  readonly issuerKey: { readonly factKey: string; readonly untilMs: number };
  /** What the issuer vouches of a customer in it. */
  readonly subjectEntity?: SubjectEntity;
  /** When the next one is asked for. */
  readonly renewAtMs: number;
}

/** A browser that somebody signed in with. */
export interface WebSession {
  /** SPIFFE ID. */
  readonly subject: string;
  /** The person's session at the issuer: what a revocation names. */
  readonly sid: string;
  /** The enrolled device whose certificate was shown at signing in. */
  readonly device: string | undefined;
  acr: Acr | undefined;
  token: SessionToken;
  refreshToken: string;
  /** When the browser last asked for anything. */
  askedMs: number;
  isOver: boolean;
  /** One at a time. */
  renewal: Promise<void> | undefined;
  /** Until then the issuer is not asked: it did not answer, or said no while the token is good. */
  retryMs: number;
}

/** A session that had to go for another. */
export interface EndedByBound extends Pick<WebSession, 'subject' | 'sid'> {
  readonly bound: 'webSessions' | 'webSessionsOfOnePerson';
}

/** Sessions of one listener, in memory only: a restart ends them here, and at the issuer they go on. */
export interface SessionStore {
  readonly size: number;
  find(cookie: string): WebSession | undefined;
  /** @returns the cookie, which is kept nowhere, and what a bound ended for it */
  start(session: WebSession): { readonly cookie: string; readonly ended?: EndedByBound };
  /** Under another cookie from now on; the one before is nobody's. */
  move(session: WebSession): string;
  end(session: WebSession): void;
  /** Ends those that are idle. */
  sweep(): void;
  all(): Iterable<WebSession>;
}

/** NIST SP 800-63B-4 §2.3.3: fifteen minutes at AAL3, as at the issuer. */
const IDLE_SECONDS_MAX_HARDWARE = 900;
/** How exactly the order of use is kept. */
const ORDER_MS = 10_000;
const COOKIE = /^[A-Za-z0-9_-]{43}$/;

/**
 * Bounds: {@link LIMITS}.webSessions, then the one that was asked least recently goes; LIMITS.webSessionsOfOnePerson, then
 * that person's goes, so that nobody ends the sessions of others by signing in again and again.
 */
export function createSessionStore(options: {
  readonly idleSeconds: number;
  readonly now: () => number;
}): SessionStore {
  const { idleSeconds, now } = options;
  // By hash: whoever reads this memory has no cookie. Roughly in the order of use, the least recent first.
  const byHash = new Map<string, WebSession>();
  const places = new Map<WebSession, { readonly hash: string; movedMs: number }>();

  function end(session: WebSession): void {
    session.isOver = true;
    byHash.delete(places.get(session)?.hash ?? '');
    places.delete(session);
  }

  function isIdle({ acr, askedMs }: WebSession): boolean {
    const seconds = acr === 'phrh' ? Math.min(idleSeconds, IDLE_SECONDS_MAX_HARDWARE) : idleSeconds;
    return now() - askedMs >= seconds * 1000;
  }

  /** The one that goes when another comes; one is enough, since one came at a time. */
  function overBound({ subject }: WebSession) {
    const mine = [...byHash.values()].filter((each) => each.subject === subject);
    const [hers] = mine;
    if (hers && mine.length >= LIMITS.webSessionsOfOnePerson) {
      return { oldest: hers, bound: 'webSessionsOfOnePerson' } as const;
    }
    const [oldest] = byHash.values();
    return oldest && byHash.size >= LIMITS.webSessions
      ? ({ oldest, bound: 'webSessions' } as const)
      : undefined;
  }

  function keep(session: WebSession): string {
    // 256 bits: nobody finds one by trying.
    const cookie = randomBytes(32).toString('base64url');
    const hash = tokenDigest(cookie);
    byHash.set(hash, session);
    places.set(session, { hash, movedMs: now() });
    return cookie;
  }

  return {
    get size() {
      return byHash.size;
    },
    find(cookie) {
      if (!COOKIE.test(cookie)) return undefined;
      const hash = tokenDigest(cookie);
      const session = byHash.get(hash);
      if (!session) return undefined;
      if (isIdle(session)) {
        end(session);
        return undefined;
      }
      // Roughly is enough: moving it on each request would cost more than all else that is asked of it.
      const place = places.get(session);
      if (place && now() - place.movedMs > ORDER_MS) {
        place.movedMs = now();
        byHash.delete(hash);
        byHash.set(hash, session);
      }
      return session;
    },
    start(session) {
      const over = overBound(session);
      if (!over) return { cookie: keep(session) };
      const { subject, sid } = over.oldest;
      end(over.oldest);
      return { cookie: keep(session), ended: { subject, sid, bound: over.bound } };
    },
    move(session) {
      byHash.delete(places.get(session)?.hash ?? '');
      return keep(session);
    },
    end,
    sweep() {
      for (const session of [...byHash.values()]) if (isIdle(session)) end(session);
    },
    all: () => byHash.values(),
  };
}
