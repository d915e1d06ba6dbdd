import type {
  DeviceIdentifier,
  DeviceOwnership,
  PostureSignal,
  TriState,
} from '@countersign/model';
import type { KeptObservation } from './posture/merge-posture.ts';

/** What the bank keeps of a device. Times are milliseconds since the epoch. */
export interface Device {
  /** SPIFFE ID. */
  readonly id: string;
  readonly ownership: DeviceOwnership;
  /** SPIFFE ID of the one person whose it is; absent of one that several share. */
  readonly owner?: string;
  readonly identifiers: { readonly [I in DeviceIdentifier]?: string };
  /** RFC 7638 thumbprint of the key that is bound to it; absent before it enrolled. */
  readonly keyThumbprint?: string;
  readonly registeredAtMs: number;
  readonly enrolledAtMs?: number;
  readonly renewedAtMs?: number;
  readonly certificateEndsAtMs?: number;
}

/**
 * `awaited`: it has a code at most. `enrolled`: its certificate is good. `absent`: it ended and was not renewed. `revoked`.
 */
export type DeviceState = 'awaited' | 'enrolled' | 'absent' | 'revoked';

/** One signal of a device as it is now. */
export interface ReportedSignal {
  readonly value: TriState;
  readonly source?: string;
  readonly observedAtMs?: number;
  readonly untilMs?: number;
  readonly assurance?: string;
  /** Another source that still counts says the contrary. */
  readonly isDisputed?: boolean;
}

/** A device and how it is kept. */
export interface DeviceReport extends Device {
  readonly state: DeviceState;
  readonly posture: { readonly [S in PostureSignal]: ReportedSignal };
  readonly score?: number;
}

/** A device and all that was said of it. */
export interface DeviceDetails extends DeviceReport {
  readonly observations: readonly KeptObservation[];
}

/** A device to enrol, or to enrol anew. */
export interface DeviceEnrolment {
  /** What follows `device/` in its SPIFFE ID. */
  readonly name: string;
  /** Of a new device: `corporate` if not said. */
  readonly ownership?: DeviceOwnership;
  /** SPIFFE ID of a registered person. */
  readonly owner?: string;
  readonly identifiers?: { readonly [I in DeviceIdentifier]?: string };
  /** How long the code is good: 1 to 86,400, 600 if not said. */
  readonly ttlSeconds?: number;
  readonly by: string;
}

/** A code for one enrolment; shown once. */
export interface EnrolmentCode {
  readonly isGranted: true;
  readonly code: string;
  readonly spiffeId: string;
  readonly expiresAtMs: number;
  readonly isNew: boolean;
}
