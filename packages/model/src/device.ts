import type { Subject } from './subject.ts';

/**
 * What is known of how a device is kept. Each is named so that `true` is what a bank wants to hear: a policy that asks for
 * `true` then refuses what is false and what nobody knows alike.
 */
export const POSTURE_SIGNALS = [
  'diskEncrypted',
  'firewallOn',
  'screenLockOn',
  'secureBootOn',
  /** An endpoint detection agent runs. */
  'edrRunning',
  /** A device manager has it. */
  'mdmEnrolled',
  /** Whoever manages it says that it keeps the bank's rules; CAEP's `compliant`. */
  'compliant',
  /** Neither jailbroken nor rooted. */
  'osIntact',
  /** The release still gets security updates, and has those that the bank asks for. */
  'osSupported',
  'noCriticalVulnerabilities',
] as const;
/** One of {@link POSTURE_SIGNALS}. */
export type PostureSignal = (typeof POSTURE_SIGNALS)[number];

/** Unknown is never true, and never false either. */
export type TriState = 'true' | 'false' | 'unknown';

/**
 * How well a signal is vouched for, the weakest first: the device says so itself; a management system that controls it says
 * so; hardware signed it.
 */
export const ASSURANCES = ['reported', 'managed', 'attested'] as const;
/** One of {@link ASSURANCES}. */
export type Assurance = (typeof ASSURANCES)[number];

/** Whose a device is. */
export const DEVICE_OWNERSHIPS = ['corporate', 'personal', 'third-party'] as const;
/** One of {@link DEVICE_OWNERSHIPS}. */
export type DeviceOwnership = (typeof DEVICE_OWNERSHIPS)[number];

/** By what a source names a device, beside the name that the bank gave it. */
export const DEVICE_IDENTIFIERS = [
  'serial',
  /** SMBIOS or platform UUID, as osquery and Jamf give it. */
  'uuid',
  'entra',
  'intune',
  'jamf',
  /** The agent id of CrowdStrike Falcon. */
  'falcon',
] as const;
/** One of {@link DEVICE_IDENTIFIERS}. */
export type DeviceIdentifier = (typeof DEVICE_IDENTIFIERS)[number];

/** What one source said of one signal, and until when that counts. */
export interface SignalEvidence {
  readonly value: 'true' | 'false';
  /** The source's name in `countersign.yaml`. */
  readonly source: string;
  /** When the source saw it; ms since the epoch. */
  readonly observedAtMs: number;
  /** From then on it is unknown. */
  readonly untilMs: number;
  readonly assurance: Assurance;
}

/** The device that a request comes from, and how that was proved. */
export interface RequestDevice {
  readonly subject: Subject;
  /**
   * `mtls`: the connection shows its certificate. `dpop`: the request is signed with its key. `transaction`: the point where
   * the transaction came in saw one of the two.
   */
  readonly proof: 'mtls' | 'dpop' | 'transaction';
}

type Evidence = { readonly [S in PostureSignal]?: SignalEvidence | undefined };

/** What a device's posture is at a moment: what nobody said, or said too long ago, is unknown. */
export function postureAt(
  posture: Evidence,
  nowMs: number,
): { readonly [S in PostureSignal]: TriState } {
  return Object.fromEntries(
    POSTURE_SIGNALS.map((signal) => {
      const evidence = posture[signal];
      return [signal, evidence && nowMs < evidence.untilMs ? evidence.value : 'unknown'];
    }),
  ) as { [S in PostureSignal]: TriState };
}

/** When what is known will next be less, by time alone; nothing when nothing is known any more. */
export function postureChangesAt(
  {
    posture,
    score,
  }: { readonly posture: Evidence; readonly score?: { readonly untilMs: number } | undefined },
  nowMs: number,
): number | undefined {
  let next: number | undefined;
  for (const evidence of [score, ...POSTURE_SIGNALS.map((signal) => posture[signal])]) {
    const untilMs = evidence?.untilMs;
    if (untilMs === undefined || untilMs <= nowMs) continue;
    if (next === undefined || untilMs < next) next = untilMs;
  }
  return next;
}
