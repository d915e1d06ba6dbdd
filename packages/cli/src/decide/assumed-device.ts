import { type Fact, parseFact } from '@countersign/model';
import type { AssumedDevice } from '@countersign/policy';

/** What is assumed of a device, as the fact that would say so at the time of the question. */
export function assumedDevice(id: string, assumed: AssumedDevice, nowMs: number): Fact {
  const { ownership, owner, posture, score } = assumed;
  const evidence = {
    ...{ source: 'assumed', observedAtMs: nowMs, untilMs: nowMs + 1 },
    assurance: 'attested' as const,
  };
  return parseFact({
    ...{ kind: 'device', id, ownership },
    ...(owner !== undefined && { owner }),
    posture: Object.fromEntries(
      Object.entries(posture).map(([signal, value]) => [
        signal,
        { ...evidence, value: `${value}` },
      ]),
    ),
    ...(score !== undefined && { score: { ...evidence, value: score } }),
  });
}
