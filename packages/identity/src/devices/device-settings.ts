import type { Assurance, PostureSignal } from '@countersign/model';

/** The shapes in which sources tell of devices; `formats.ts` reads each. */
export const POSTURE_FORMATS = [
  'countersign',
  'crowdstrike',
  'fleet',
  'intune',
  'jamf',
  'osquery',
] as const;
/** One of {@link POSTURE_FORMATS}. */
export type PostureFormat = (typeof POSTURE_FORMATS)[number];

/** Who tells how devices are kept. */
export interface PostureSource {
  readonly name: string;
  readonly format: PostureFormat;
  /** How well it can vouch; what it says of itself is never taken for more. */
  readonly assurance: Assurance;
  /** Which of its checks is which signal: Fleet's policies, osquery's queries, CrowdStrike's signals, by name. */
  readonly checks?: Readonly<Record<string, PostureSignal>>;
  /** File with the secret that its webhooks are signed with, read at each; none: it is imported only. */
  readonly secretFile?: string;
}

/** How devices are kept, as the configuration says now. */
export interface DeviceSettings {
  /** The life of a device's certificate: 300 to 86,400. */
  readonly certificateTtlSeconds: number;
  /** So long after its certificate ended a device may still renew with its key. */
  readonly absenceSeconds: number;
  readonly posture: {
    /** So long what a source saw counts, where a signal has no limit of its own. */
    readonly maxAgeSeconds: number;
    readonly signals: {
      readonly [S in PostureSignal]?: {
        readonly maxAgeSeconds?: number;
        /** What is vouched for less well counts as unknown. */
        readonly assurance?: Assurance;
      };
    };
    readonly sources: readonly PostureSource[];
  };
}

/** Where `authority.devices` says nothing. */
export const DEFAULT_DEVICES: DeviceSettings = {
  certificateTtlSeconds: 3600,
  absenceSeconds: 30 * 86_400,
  posture: { maxAgeSeconds: 86_400, signals: {}, sources: [] },
};
