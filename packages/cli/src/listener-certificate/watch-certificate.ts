import type { CertificateFiles } from '@countersign/policy';
import type { TlsIdentity } from '@countersign/spiffe';
import { CommandError } from '../command-line/command.ts';
import { type CertificatePair, isoOf, readCertificate, requireValid } from './read-certificate.ts';

/** Whoever renews certificates writes files; nobody tells us. */
const LOOK_EVERY_MS = 5_000;
/** A renewal writes two files: between them they do not fit, and that is nobody's fault. */
const FAILURES_TOLD_FROM = 2;
const DAY_MS = 86_400_000;

/** A listener's certificate from files that somebody else renews. */
export interface ListenerCertificate {
  /** The newest pair that was good. */
  current(): TlsIdentity;
  /** SHA-256 (base64url) over its DER. */
  thumbprint(): string;
  notAfterMs(): number;
  /** Why what lies there now is not taken, or that it ends soon, when that is so; the one before is shown on. */
  trouble(): string | undefined;
  /** Called after each renewal. */
  onRenewed(listener: () => void): void;
  close(): void;
}

/** How a certificate is watched. */
export interface WatchOptions {
  /** Whose it is: `authority.issuer`, `edge/partners`. */
  readonly listener: string;
  /** Told once of each new trouble. */
  readonly onTrouble: (detail: string) => void;
  readonly now: () => number;
  /** Default: 5 s. */
  readonly everyMs?: number | undefined;
}

/**
 * Reads certificate and key, and again whenever they have changed. A pair that does not fit, cannot be read or is over is
 * not taken: the one before is shown on, however long that lasts.
 *
 * @throws {CommandError} when the first ones cannot be used
 */
export async function watchCertificate(
  files: CertificateFiles,
  { listener, onTrouble, now, everyMs = LOOK_EVERY_MS }: WatchOptions,
): Promise<ListenerCertificate> {
  let pair: CertificatePair;
  try {
    pair = await readCertificate(files);
    requireValid(pair, { ...files, nowMs: now() });
  } catch (cause) {
    const { message } = cause as Error;
    throw new CommandError(`cannot show a certificate at ${listener}: ${message}`, { cause });
  }
  const listeners: (() => void)[] = [];
  let [failures, fault]: [number, string | undefined] = [0, undefined];
  let trouble: string | undefined;
  let isLooking = false;
  const look = async (): Promise<void> => {
    try {
      const next = await readCertificate(files);
      if (next.digest !== pair.digest) {
        requireValid(next, { ...files, nowMs: now() });
        pair = next;
        for (const each of listeners) each();
      }
      [failures, fault] = [0, undefined];
    } catch (error) {
      failures += 1;
      if (failures >= FAILURES_TOLD_FROM) fault = (error as Error).message;
    }
    const isOver = now() > pair.notAfterMs;
    const until = `${isOver ? 'ended' : 'ends'} ${isoOf(pair.notAfterMs)}`;
    const found = fault
      ? `${fault}; the certificate before is shown on, which ${until}`
      : endOf(pair.notAfterMs - now(), `${files.certificateFile} ${until}`);
    if (found !== undefined && found !== trouble) onTrouble(`${listener}: ${found}`);
    trouble = found;
  };
  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    void look().finally(() => {
      isLooking = false;
    });
  }, everyMs);
  timer.unref();
  return {
    current: () => pair.identity,
    thumbprint: () => pair.thumbprint,
    notAfterMs: () => pair.notAfterMs,
    trouble: () => trouble,
    onRenewed: (each) => void listeners.push(each),
    close: () => clearInterval(timer),
  };
}

/** What is to be said of an end that is near: other words a week, a day and nothing before it, so that each is told. */
function endOf(leftMs: number, words: string): string | undefined {
  if (leftMs > 7 * DAY_MS) return undefined;
  if (leftMs < 0) return `${words}; expected another in its place`;
  return `${words}, in less than ${leftMs > DAY_MS ? '7 days' : 'a day'}; expected another in its place`;
}
