import type { Clock } from '@countersign/model';
import type { Recorder } from '../../new-event.ts';
import type { DeviceSettings } from '../device-settings.ts';

/** Watches for sources of which nothing is heard any more: what they said gets unknown, and people are shut out by it. */
export class SilentSources {
  readonly #options: {
    readonly record: Recorder;
    readonly now: Clock;
    readonly settings: () => DeviceSettings;
  };
  readonly #startedMs: number;
  readonly #heardMs = new Map<string, number>();
  readonly #told = new Set<string>();

  constructor(options: {
    readonly record: Recorder;
    readonly now: Clock;
    readonly settings: () => DeviceSettings;
  }) {
    this.#options = options;
    this.#startedMs = options.now();
  }

  heard(source: string): void {
    this.#heardMs.set(source, this.#options.now());
    this.#told.delete(source);
  }

  /** Alarms, once for each silence, of a source that said nothing for as long as what it says counts. */
  async tell(): Promise<void> {
    const { record, now, settings } = this.#options;
    const { sources, maxAgeSeconds } = settings().posture;
    for (const { name } of sources) {
      const sinceMs = this.#heardMs.get(name) ?? this.#startedMs;
      if (this.#told.has(name) || now() - sinceMs < maxAgeSeconds * 1000) continue;
      this.#told.add(name);
      const since = new Date(sinceMs).toISOString();
      await record({
        ...{ kind: 'alarm', alarm: 'posture-source-silent' },
        detail: `source '${name}' said nothing since ${since}: what it said of devices is unknown`,
      });
    }
  }
}
