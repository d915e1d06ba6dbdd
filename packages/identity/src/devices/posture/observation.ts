import type { Assurance, DeviceIdentifier, PostureSignal, TriState } from '@countersign/model';

/** What a source says of one signal. `unknown` takes back what it said before. */
export interface SignalObservation {
  readonly value: TriState;
  /** When the source saw it, not when it told us; ms since the epoch. */
  readonly observedAtMs: number;
  /** Less than what the source can vouch for, where it says so. */
  readonly assurance?: Assurance;
}

/** What a source says of one device. */
export interface DeviceObservation {
  /** Our own name for it, where the source knows it. */
  readonly name?: string;
  readonly identifiers: { readonly [I in DeviceIdentifier]?: string };
  readonly signals: { readonly [S in PostureSignal]?: SignalObservation };
  /** 0 to 100. */
  readonly score?: { readonly value: number; readonly observedAtMs: number };
}

/** A report, read: devices, and what of it could not be read. */
export interface PostureReport {
  readonly devices: readonly DeviceObservation[];
  readonly unread: readonly { readonly index: number; readonly why: string }[];
}

/** Devices in one report. */
export const REPORT_DEVICES_MAX = 100_000;
