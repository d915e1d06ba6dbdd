import { LIMITS } from '../../limits.ts';

/** A handshake that failed, or a certificate that did not verify. */
export interface HandshakeRefusal {
  readonly listener: string;
  readonly ip: string;
  readonly reason: string;
  readonly detail: string;
}

/**
 * Bounds what refused handshakes write: beyond some a minute from one address they are counted,
 * and the count becomes one event at the minute's end. Anybody can fail a handshake.
 */
export interface HandshakeEvents {
  refused(refusal: HandshakeRefusal): void;
  /** Writes the counts whose minute is over; all of them when `nowMs` is absent. */
  flush(nowMs?: number): void;
}

interface Minute {
  readonly sinceMs: number;
  written: number;
  /** Beyond the bound: how many, and what the last one was. */
  further: number;
  last: HandshakeRefusal;
}

const MINUTE_MS = 60_000;
/** Addresses beyond {@link LIMITS}.handshakeAddresses share this one. */
const OTHERS = '*';

/** @param write takes an event, or a count of events */
export function createHandshakeEvents(
  now: () => number,
  write: (refusal: HandshakeRefusal) => void,
): HandshakeEvents {
  const minutes = new Map<string, Minute>();

  function close(key: string, minute: Minute): void {
    minutes.delete(key);
    if (minute.further === 0) return;
    const { listener, reason } = minute.last;
    const detail = `${minute.further} more within a minute, the last: ${minute.last.detail}`;
    write({ listener, reason, ip: key === OTHERS ? 'several' : key, detail });
  }

  return {
    refused(refusal) {
      const nowMs = now();
      let key = refusal.ip;
      let minute = minutes.get(key);
      if (!minute && minutes.size >= LIMITS.handshakeAddresses) {
        key = OTHERS;
        minute = minutes.get(key);
      }
      if (minute && nowMs - minute.sinceMs >= MINUTE_MS) {
        close(key, minute);
        minute = undefined;
      }
      if (!minute) {
        minute = { sinceMs: nowMs, written: 0, further: 0, last: refusal };
        minutes.set(key, minute);
      }
      minute.last = refusal;
      if (minute.written < LIMITS.handshakeEvents) {
        minute.written++;
        write(refusal);
      } else {
        minute.further++;
      }
    },
    flush(nowMs) {
      for (const [key, minute] of minutes) {
        if (nowMs === undefined || nowMs - minute.sinceMs >= MINUTE_MS) close(key, minute);
      }
    },
  };
}
