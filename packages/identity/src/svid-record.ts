import type { Clock } from '@countersign/model';
import type { X509Svid } from '@countersign/spiffe';
import { AlarmThrottle } from './alarm-throttle.ts';
import type { Recorder } from './new-event.ts';
import { ALARMS, type Refusal } from './refusal.ts';
import { thumbprintOf } from './svid-rows.ts';

const SUBJECT_SHOWN_MAX = 300;

/** What the record says of SVIDs: who got one and by what, who got none and why. */
export class SvidRecord {
  readonly #record: Recorder;
  readonly #now: Clock;
  readonly #forged = new AlarmThrottle();

  constructor({ record, now }: { readonly record: Recorder; readonly now: Clock }) {
    this.#record = record;
    this.#now = now;
  }

  async issued(
    svid: X509Svid,
    {
      via,
      by = svid.spiffeId.uri,
      more = {},
    }: {
      readonly via: string;
      readonly by?: string;
      readonly more?: Readonly<Record<string, string>>;
    },
  ): Promise<void> {
    await this.#record({
      kind: 'administration',
      action: 'svid-issued',
      by: via === 'own' ? 'system' : by,
      target: svid.spiffeId.uri,
      detail: {
        via,
        serial: svid.serialHex,
        thumbprint: thumbprintOf(svid),
        notAfterMs: svid.notAfterMs,
        ...more,
      },
    });
  }

  /** A refusal, with its alarm where it has one. */
  async refused(refused: Refusal, subject?: string): Promise<Refusal> {
    const { code, detail } = refused;
    // `RequestPace` told it, once a minute.
    if (code === 'request-rate') return refused;
    await this.#record({
      kind: 'authentication',
      result: 'refused',
      reason: code,
      detail: detail.slice(0, 1000),
      listener: 'control',
      ...(subject !== undefined && { subject }),
    });
    const alarm = ALARMS.get(code);
    if (alarm === undefined) return refused;
    // Whoever has a stolen key asks as often, and as whom, it likes.
    const isThrottled = alarm === 'svid-forged';
    const leftOut = isThrottled ? this.#forged.take(subject ?? '', this.#now()) : 0;
    if (leftOut === undefined) return refused;
    const more = leftOut > 0 ? ` (${leftOut} more were not told)` : '';
    // A SPIFFE ID that somebody made up is not to push out the certificate that it stands in.
    const told = `${(subject ?? '').slice(0, SUBJECT_SHOWN_MAX)}: ${detail}`.slice(0, 900);
    await this.#record({ kind: 'alarm', alarm, detail: `${told}${more}` });
    return refused;
  }
}
