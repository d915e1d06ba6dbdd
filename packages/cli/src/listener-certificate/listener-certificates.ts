import type { Metrics } from '@countersign/audit';
import type { CertificateFiles } from '@countersign/policy';
import { type ListenerCertificate, watchCertificate } from './watch-certificate.ts';

/** What goes into the record, and to the operator. */
export const CERTIFICATE_ALARM = 'listener-certificate';

/** The certificates of the bank's own that a process shows at its listeners. */
export interface ListenerCertificates {
  /**
   * Reads the files of one listener and follows them. That it shows them is in the record, now and after each renewal.
   *
   * @throws {CommandError} when they cannot be used
   */
  open(listener: string, files: CertificateFiles): Promise<ListenerCertificate>;
  /** How they are, in the order in which they were opened. */
  status(): readonly ListenerCertificateStatus[];
  close(): void;
}

/** How a listener's certificate is. */
export interface ListenerCertificateStatus {
  readonly listener: string;
  readonly certificateFile: string;
  readonly notAfterMs: number;
  readonly trouble?: string;
}

/** `certificate-shown`: which certificate a listener shows from now on. */
export interface CertificateShown {
  readonly target: string;
  readonly detail: { readonly sha256: string; readonly until: string };
}

/** Opens none yet. */
export function listenerCertificates(options: {
  readonly metrics: Metrics;
  readonly alarm: (alarm: typeof CERTIFICATE_ALARM, detail: string) => void;
  readonly record: (action: 'certificate-shown', shown: CertificateShown) => void;
  readonly now: () => number;
  /** How often files are looked at. */
  readonly lookEveryMs?: number | undefined;
}): ListenerCertificates {
  const { metrics, alarm, record, now, lookEveryMs } = options;
  const open: {
    readonly listener: string;
    readonly certificateFile: string;
    readonly held: ListenerCertificate;
  }[] = [];
  metrics.gauge(
    'countersign_listener_certificate_until_seconds',
    "When the certificate of a listener's own ends, Unix time.",
    () => open.map(({ listener, held }) => [{ listener }, held.notAfterMs() / 1000]),
  );
  metrics.gauge(
    'countersign_listener_certificate_failing',
    'Whether its files cannot be used, or it ends within a week.',
    () => open.map(({ listener, held }) => [{ listener }, held.trouble() === undefined ? 0 : 1]),
  );
  return {
    async open(listener, files) {
      const held = await watchCertificate(files, {
        ...{ listener, now, everyMs: lookEveryMs },
        onTrouble: (detail) => alarm(CERTIFICATE_ALARM, detail),
      });
      const tell = (): void =>
        record('certificate-shown', {
          target: listener,
          detail: { sha256: held.thumbprint(), until: new Date(held.notAfterMs()).toISOString() },
        });
      tell();
      held.onRenewed(tell);
      open.push({ listener, certificateFile: files.certificateFile, held });
      return held;
    },
    status: () =>
      open.map(({ listener, certificateFile, held }) => {
        const trouble = held.trouble();
        return {
          ...{ listener, certificateFile, notAfterMs: held.notAfterMs() },
          ...(trouble !== undefined && { trouble }),
        };
      }),
    close() {
      for (const { held } of open) held.close();
    },
  };
}
