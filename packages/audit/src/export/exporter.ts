import type { LogEntries } from '@countersign/ledger';
import type { DecisionEvent, EventKind } from '@countersign/model';
import type { ExportSink } from './export-sink.ts';

/** A log to export from: the authority's own, or the copy of a point's. */
export interface ExportSource {
  readonly origin: string;
  /** Entries that are durable. */
  size(): number | Promise<number>;
  /** As `Log.read`. */
  read(index: number, bounds: { count: number; bytesMax: number }): Promise<LogEntries>;
}

/** Which events are exported. Each list that is given must have the event's value; the log keeps all. */
export interface ExportFilter {
  readonly kinds?: readonly EventKind[];
  /** Of decisions; events of other kinds have none and pass. */
  readonly effects?: readonly DecisionEvent['effect'][];
  /** Events that are about no surface pass. */
  readonly surfaces?: readonly string[];
}

/** What is wrong with an export, in the words of the alarm event. */
export type ExportAlarmKind =
  /** The export cannot be begun: its cursor is damaged, or its folder cannot be used. The others run. */
  | 'export-stopped'
  /** The sink does not take what it is given, or cannot be reached. */
  | 'export-failed'
  /** Events were set aside: the sink refuses them, or took a batch without them. */
  | 'export-dead-letter'
  /** An entry could not be written in OCSF; nothing of it was exported. */
  | 'export-unmapped'
  /** Events wait for the sink longer than the set limit. */
  | 'export-lag'
  /** A log is shorter than what was exported of it, or cannot be read. */
  | 'export-log-unreadable';

/** Something a person should look at. */
export interface ExportAlarm {
  /** The sink's name. */
  readonly name: string;
  readonly alarm: ExportAlarmKind;
  /** At most 1000 characters. */
  readonly detail: string;
  readonly atMs: number;
  /** How many of this kind were left out since the last one told. */
  readonly omitted: number;
}

/** What an exporter needs. */
export interface ExporterOptions {
  /** The sink's name in alarms. */
  readonly name: string;
  /** Holds the cursor and the dead letters; locked, so that no two exporters share a cursor. */
  readonly folder: string;
  readonly sink: ExportSink;
  /** The logs there are now; asked again each round. */
  readonly sources: () => readonly ExportSource[];
  readonly filter?: ExportFilter;
  /** Fields of the event contract that are taken out before anything else looks at the event. */
  readonly omit?: readonly string[];
  readonly productVersion?: string;
  /** An alarm is raised when an event waits longer for its acknowledgement. Default 300,000. */
  readonly lagMsMax?: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onAlarm: (alarm: ExportAlarm) => void;
  /** Waits; rejects when the signal aborts. For tests; default a timer that keeps no process alive. */
  readonly wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** 0 to 1, for jitter. Default `Math.random`. */
  readonly random?: () => number;
}

/** Where an exporter stands. */
export interface ExporterStatus {
  readonly name: string;
  /** Entries of all logs that are not exported yet, as of the last look. */
  readonly pending: number;
  /** How long the oldest of them has been waiting since it was first seen; 0 when nothing waits. */
  readonly lagMs: number;
  readonly lastTakenAtMs: number | undefined;
  /** Events that the sink took since the start. */
  readonly taken: number;
  /** Dead letters in the file. */
  readonly deadLetters: number;
  readonly trouble: ExportTrouble | undefined;
  /** By origin: the index of the next entry to export. */
  readonly cursors: Readonly<Record<string, number>>;
}

/** Why nothing is being taken just now. */
export interface ExportTrouble {
  /** `http-401`, `unreachable`, `ENOSPC`, `refuses-everything` … */
  readonly code: string;
  readonly detail: string;
  /** Tries that failed since the last that was taken. */
  readonly attempts: number;
  readonly sinceMs: number;
}

/** Reads logs and sends their events to one sink. */
export interface Exporter {
  readonly name: string;
  /** Something was appended or collected: look now instead of within half a minute. */
  wake(): void;
  status(): ExporterStatus;
  /** Stops; what was not acknowledged is sent by the next exporter. */
  close(): Promise<void>;
}
