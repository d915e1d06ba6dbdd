import { type Collector, openCollector } from '@countersign/audit';
import type { Identity } from '@countersign/identity';
import type { Clock } from '@countersign/model';
import type { RiskLoop } from '../risk-loop.ts';
import { registeredLogs } from './collected-logs.ts';
import type { EventStream } from './event-stream.ts';
import type { Recorder } from './own-record.ts';

/** Collects the points' logs: what comes is shown live and scored; what is wrong is an alarm. */
export function collectLogs(options: {
  readonly folder: string;
  readonly trustDomain: string;
  readonly identity: Identity;
  readonly stream: EventStream;
  readonly risk: RiskLoop;
  readonly record: Recorder;
  /** Called when entries of a shard of that name became durable here. */
  readonly onCollected: (name: string) => void;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}): Promise<Collector> {
  const { folder, trustDomain, identity, stream, risk, record, onCollected, now, warn } = options;
  return openCollector({
    folder,
    now,
    points: registeredLogs({ trustDomain, identity, now }),
    onEvents: (name, events) => {
      onCollected(name);
      stream.publish(events);
      risk.observe(name, events, (events.at(-1)?.seq ?? -1) + 1);
    },
    onAlarm: ({ name, alarm, detail }) => {
      warn(`alarm ${alarm}: ${name}: ${detail}`);
      record({ kind: 'alarm', alarm, detail: `${name}: ${detail}`.slice(0, 1000) }).catch(
        (error: Error) => warn(`the alarm was not recorded: ${error.message}`),
      );
    },
  });
}
