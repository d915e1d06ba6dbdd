import type { PostureSignal } from '@countersign/model';
import { z } from 'zod';
import type { PostureFormat, PostureSource } from '../device-settings.ts';
import { readPlainDevice } from './adapters/countersign.ts';
import { readZeroTrustAssessment } from './adapters/crowdstrike.ts';
import { readFleetHost } from './adapters/fleet.ts';
import { readIntuneDevice } from './adapters/intune.ts';
import { readJamfComputer } from './adapters/jamf.ts';
import { readOsqueryResult } from './adapters/osquery.ts';
import { type DeviceObservation, type PostureReport, REPORT_DEVICES_MAX } from './observation.ts';

interface Format {
  /** Members that hold one device, and such that hold a list of them. */
  readonly one: readonly string[];
  readonly many: readonly string[];
  readonly read: (
    value: unknown,
    options: { readonly checks: ReadonlyMap<string, PostureSignal> },
  ) => DeviceObservation;
}

const FORMATS: Readonly<Record<PostureFormat, Format>> = {
  countersign: { one: [], many: ['devices'], read: readPlainDevice },
  crowdstrike: { one: [], many: ['resources'], read: readZeroTrustAssessment },
  fleet: { one: ['host'], many: ['hosts'], read: readFleetHost },
  intune: { one: [], many: ['value'], read: readIntuneDevice },
  jamf: { one: [], many: ['results'], read: readJamfComputer },
  osquery: { one: [], many: [], read: readOsqueryResult },
};

/** Why a report is none at all. */
export interface UnreadableReport {
  readonly fault: string;
}

/**
 * Reads what a source sent: JSON, one device or a list of them as its API answers, or JSON lines. A device that cannot be read
 * takes none of the others away.
 */
export function readPostureReport(
  text: string,
  { format, checks = {} }: Pick<PostureSource, 'format' | 'checks'>,
): PostureReport | UnreadableReport {
  const values = valuesOf(text);
  if ('fault' in values) return values;
  const { one, many, read } = FORMATS[format];
  const found = values.all.flatMap((value) => membersOf(value, { one, many }));
  if (found.length > REPORT_DEVICES_MAX) {
    return { fault: `found ${found.length} devices, expected at most ${REPORT_DEVICES_MAX}` };
  }
  const devices: DeviceObservation[] = [];
  const unread: { index: number; why: string }[] = [];
  const options = { checks: new Map(Object.entries(checks)) };
  for (const [index, value] of found.entries()) {
    try {
      devices.push(read(value, options));
    } catch (error) {
      if (!(error instanceof z.ZodError)) throw error;
      unread.push({ index, why: z.prettifyError(error).replace(/\s+/g, ' ').slice(0, 300) });
    }
  }
  return { devices, unread };
}

function valuesOf(text: string): { readonly all: readonly unknown[] } | UnreadableReport {
  try {
    return { all: [JSON.parse(text)] };
  } catch {
    // Not one value: perhaps one a line, as logs are.
  }
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const all: unknown[] = [];
  for (const [index, line] of lines.entries()) {
    try {
      all.push(JSON.parse(line));
    } catch {
      return { fault: `found no JSON in line ${index + 1}` };
    }
  }
  return lines.length === 0 ? { fault: 'found nothing' } : { all };
}

function membersOf(value: unknown, { one, many }: Pick<Format, 'one' | 'many'>): unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value !== 'object' || value === null) return [value];
  const members = value as Readonly<Record<string, unknown>>;
  for (const name of many) {
    const list = Object.hasOwn(members, name) ? members[name] : undefined;
    if (Array.isArray(list)) return list;
  }
  for (const name of one) if (Object.hasOwn(members, name)) return [members[name]];
  return [value];
}
